"""Signing in, the guard in front of every route, and what answers carry."""
