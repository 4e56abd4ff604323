"""What a candidate says about itself: its commits, the version they ask for, tasks, documents, migration plan, the JUnit of its tests.

Pure: text in, values out; but for `beads`, which runs the program `bd`.
"""
