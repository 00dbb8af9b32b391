"""Who hears what, when: triggers, fire and recover, grouping, texts."""
