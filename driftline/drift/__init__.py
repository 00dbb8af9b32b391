"""Desired against live: schema, compare, ownership, verdicts, and who changed it."""
