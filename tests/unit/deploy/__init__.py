"""What starts, ends and tests an installation."""
