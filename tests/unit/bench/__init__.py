"""The pure parts of the bench: counting, ranking, showing."""
