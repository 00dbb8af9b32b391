"""Run by Alembic for each command; the connection and its transaction come from `migrating`."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext

from driftline.adapters.store.tables import metadata


def plain_types(kind: str, thing: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write our column types as the plain types they are stored in: a revision must not change with the code."""
    if kind != "type":
        return False
    if isinstance(thing, sa.TypeDecorator):
        return f"sa.{type(thing.impl_instance).__name__}()"
    if isinstance(thing, sa.BigInteger) and thing._variant_mapping:
        return "sa.BigInteger().with_variant(sa.Integer(), 'sqlite')"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_item=plain_types,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
