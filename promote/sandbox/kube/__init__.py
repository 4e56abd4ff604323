"""A Kubernetes API server in memory: objects, watches, tables, RBAC, and workloads that behave as their annotations demand."""
