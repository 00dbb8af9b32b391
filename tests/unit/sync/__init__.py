"""What a sync does and in which order: plans, steps, hooks, automation."""
