"""`promote init`: what it discovers in a repository, what it infers from that, and the files it writes. It never overwrites a file."""
