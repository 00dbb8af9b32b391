"""From a Git tree to the objects that a cluster should hold."""
