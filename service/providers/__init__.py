"""One Git host each: how it signs and what its push says."""
