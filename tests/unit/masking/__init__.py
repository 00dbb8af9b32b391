"""Nothing secret is ever shown: objects, drift, texts, events."""
