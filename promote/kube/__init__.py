"""The Kubernetes API: one client, its login, and workloads as values. The only package that imports the kubernetes library.

It knows pods, Deployments and Jobs; the Application is `argocd`'s.
"""
