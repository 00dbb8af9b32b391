"""Drift found on a real API server: generated histories of Git and hand edits, judged by an oracle of their own."""
