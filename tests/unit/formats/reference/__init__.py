"""The recorded behaviour of sigs.k8s.io/yaml and what records it."""
