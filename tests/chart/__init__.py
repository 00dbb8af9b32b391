"""The Helm chart, rendered by the official tool and checked by a real API server."""
