"""Is an object well: kinds, applications, causes."""
