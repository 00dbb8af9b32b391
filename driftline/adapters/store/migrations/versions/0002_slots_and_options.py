"""What alert slots remember, the options of inventory rows, and approved deletions.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alert_slot",
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("alert_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alert.id"], name=op.f("fk_alert_slot_alert_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_alert_slot")),
    )
    op.add_column("object", sa.Column("options", sa.Text(), nullable=True))
    op.add_column("application", sa.Column("delete_approved", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("application", "delete_approved")
    op.drop_column("object", "options")
    op.drop_table("alert_slot")
