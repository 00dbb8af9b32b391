"""Lists that a hand edit has made unmergeable."""
