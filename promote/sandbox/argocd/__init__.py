"""argocd."""
