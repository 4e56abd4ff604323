"""Argo CD: the Application as a value, reading and refreshing it, and the sync windows of its project.

It reports what Argo CD shows. Whether production has arrived at a commit is decided in `convergence`.
"""
