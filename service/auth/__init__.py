"""Who is asking: passwords, sessions, API tokens, and the guard in front of every route."""
