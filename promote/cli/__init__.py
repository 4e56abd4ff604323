"""The command line: argv → one command, one module each → exit code.

A command parses, calls one function of another package and prints. No git, no cluster, and no outcome is decided here.
"""
