"""Ship a version to production by moving one git tag, prove it from the outside, and put it back when it is wrong."""

__version__ = "0.2.0"
