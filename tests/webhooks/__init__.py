"""The webhook endpoint: order of checks, limits, hostile clients."""
