"""Sources that are charts, and what a repository of charts was found to hold.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("source", sa.Column("chart", sa.Text(), nullable=False, server_default=""))
    op.add_column("repository", sa.Column("charts", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("repository", "charts")
    op.drop_column("source", "chart")
