"""The Kubernetes API: one client, its login, and workloads as values. The only package that imports the kubernetes library.

It models pods and events; the Application belongs to `argocd`.
"""
