"""What a run shows: lines for a terminal or a log, JSON documents, JUnit, GitHub annotations and summary. It decides nothing."""
