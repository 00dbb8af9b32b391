"""The documentation says what the product does."""
