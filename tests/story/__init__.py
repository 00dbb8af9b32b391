"""Whole stories on the real installation: what a team does, and what it sees."""
