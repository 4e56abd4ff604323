"""A git server over HTTP with fault hooks, in front of a real bare repository."""
