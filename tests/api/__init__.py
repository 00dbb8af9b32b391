"""The REST API over real databases."""
