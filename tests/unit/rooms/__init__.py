"""Which room may know what."""
