"""Promote a version to production by moving one git tag, verify against the cluster that production runs it, and roll back otherwise."""

__version__ = "0.2.0"
