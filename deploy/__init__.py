"""What Driftline is installed and tried out with: the Helm chart and a local control plane."""
