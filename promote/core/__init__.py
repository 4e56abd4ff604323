"""Values and tools that every package uses and that do not depend on git, a forge or a cluster.

Errors, the values of a promotion, the clock and its deadlines, retries, signals, redaction of secrets, versions. No I/O except reading the clock, and
in `private`, which writes files.
"""
