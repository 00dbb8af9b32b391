"""Runs the rendering tools in limited child processes."""
