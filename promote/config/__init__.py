"""promotion.toml: its schema, the strict reader, renamed keys, the expressions of checks, and the generated reference page.

A key the schema does not know is an error that names the nearest known key; all errors of a file are reported
at once. Nothing here reads the environment.
"""
