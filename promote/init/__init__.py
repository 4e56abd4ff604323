"""Bringing promote into somebody's GitOps repository: look at what is there, write what is missing, touch nothing that exists."""
