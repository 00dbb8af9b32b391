"""What a sync does and in which order: plan, waves, prune, budget, the next step."""
