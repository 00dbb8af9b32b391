"""REST API under /api/v1, with Argo CD's JSON shapes."""
