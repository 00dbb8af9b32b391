"""How the database came to look as it does: one Alembic revision per change, applied in order."""
