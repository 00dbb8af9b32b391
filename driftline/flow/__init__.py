"""Joins rooms and adapters: read, decide, act, record; nothing else."""
