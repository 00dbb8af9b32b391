"""How declarations and manifests are read."""
