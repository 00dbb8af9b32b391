"""GitOps continuous delivery for Kubernetes: what the product knows. Faces: `service` and `workers`."""
