"""From a Git tree to the objects a cluster should hold: tools, inputs, parameters, cache keys."""
