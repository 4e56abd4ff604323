"""Words and tools that every package uses and that know nothing of git, a forge or a cluster.

Errors, the values of a promotion, the clock and its deadlines, signals, redaction of secrets, versions. No input or output except reading the clock.
"""
