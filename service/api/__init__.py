"""The REST API under /api/v1, with Argo CD's shapes. `blueprint` makes it; `web.py` mounts it."""
