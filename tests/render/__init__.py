"""Rendering with the real tools, in real processes, and what happens when the input is hostile."""
