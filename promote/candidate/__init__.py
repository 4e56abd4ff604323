"""The candidate's own statements: its commits, the version bump they require, tasks, documents, migration plan, the JUnit file of its tests.

Pure: text in, values out; only `beads` runs a program (`bd`).
"""
