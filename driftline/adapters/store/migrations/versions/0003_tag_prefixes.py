"""The tag prefix that a source follows, so that a pushed tag finds its applications.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("source", sa.Column("tag_prefix", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("source", "tag_prefix")
