"""Declarations in: Argo CD YAML and Kubernetes YAML to the model."""
