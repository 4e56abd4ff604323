"""Taking over a promotion whose process is gone, and finishing it, rolling it back or releasing it."""
