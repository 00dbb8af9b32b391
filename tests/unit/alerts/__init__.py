"""Who is told what, when: states, recipients, texts, retries."""
