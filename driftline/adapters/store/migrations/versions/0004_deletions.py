"""How the deletion of an application goes: since when, its hooks, what waits for a person.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("application", sa.Column("deletion", sa.Text(), nullable=True))
    op.drop_column("application", "delete_approved")


def downgrade() -> None:
    op.add_column("application", sa.Column("delete_approved", sa.Text(), nullable=True))
    op.drop_column("application", "deletion")
