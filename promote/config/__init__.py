"""promotion.toml: its schema, the strict reader, the expressions of smoke checks, and the reference page that is written from the schema.

A key the schema does not know is an error that names the nearest known key; all errors of a file are reported
at once. Nothing here reads the environment.
"""
