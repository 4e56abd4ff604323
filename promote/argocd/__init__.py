"""Argo CD: the Application as a value, reading and refreshing it, and the sync windows of its project.

It reports the state that Argo CD shows. `convergence` decides whether production runs a commit.
"""
