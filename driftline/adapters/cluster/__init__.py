"""Speaks to Kubernetes API servers: `cluster.connect` reads and writes, `reflector` follows, `parallel` does many."""
