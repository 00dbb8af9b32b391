"""Flow in one process, on a real API server, a real Git host and both databases: the stories of one application."""
