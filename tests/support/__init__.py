"""What several test folders share, and the checks of this repository's own text."""
