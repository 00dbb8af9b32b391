"""The documentation, and the script that writes the part of it that the source knows."""
