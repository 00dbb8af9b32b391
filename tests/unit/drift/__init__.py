"""The comparison, without a cluster: on schemas and answers recorded from a real API server."""
