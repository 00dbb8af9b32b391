"""How each Git host signs and what its deliveries say."""
