"""The protocol as a state machine small enough to be searched completely."""
