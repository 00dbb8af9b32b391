"""Chart repositories and registries, on real parts."""
