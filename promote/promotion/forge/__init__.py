"""Moving the tag forward and back through a GitHub workflow, including an older workflow that cannot take part in the lock."""
