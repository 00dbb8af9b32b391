"""The cluster adapter against a real API server."""
