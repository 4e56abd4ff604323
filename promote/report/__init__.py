"""The output of a run: lines for a terminal or a log, JSON documents, GitHub annotations and summary. It decides nothing."""
