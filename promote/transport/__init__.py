"""The ways out of the process: HTTP answers with a deadline for the whole answer, HTTP probes, child programs that end with their parent.

It knows no service by name: the calling package decides which answers it retries.
"""
