"""The SQL database: the truth about jobs, applications and syncs."""
