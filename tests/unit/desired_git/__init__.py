"""Which URL, which revision, which version: the pure rules about Git."""
