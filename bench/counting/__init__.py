"""A directory for PYTHONPATH: its `sitecustomize` counts what a process does."""
