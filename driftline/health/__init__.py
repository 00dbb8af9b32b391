"""Is an object well: one rule per kind, and the health of a whole application."""
