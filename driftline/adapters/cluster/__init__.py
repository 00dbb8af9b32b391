"""Speaks to Kubernetes API servers."""
