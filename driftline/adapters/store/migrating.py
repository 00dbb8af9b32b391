"""Brings the database to the tables that this version needs, or back. Called by the CLI and by tests."""

from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from driftline.adapters.store import installation
from driftline.adapters.store.engine import Store

if TYPE_CHECKING:
    from alembic.config import Config

_ADVISORY_LOCK = 0x6472696674
"""One migration at a time on PostgreSQL; SQLite's write transaction is that already."""


def migrate(store: Store, target: str = "head") -> None:
    """Go to a revision, up or down (`base` is the empty database), in one transaction; nothing to do is fine.

    Many processes may call it at once: one works, the others wait and find it done.
    """
    from alembic import command

    with store.write() as db:
        _alone(db)
        config = _config(db)
        if target == "base" or _is_older(config, db, target):
            command.downgrade(config, target)
        else:
            command.upgrade(config, target)
        if inspect(db).has_table("installation"):
            installation.ensure(db)


def heads() -> list[str]:
    """The newest revisions that this version brings; exactly one, or two changes were made side by side."""
    from alembic.script import ScriptDirectory

    return list(ScriptDirectory.from_config(_config(None)).get_heads())


def current(store: Store) -> str | None:
    """The revision of the database, or None if it is empty."""
    with store.read() as db:
        return _current(db)


def pending(store: Store) -> bool:
    """Whether the database lacks a revision that this version brings."""
    return current(store) not in heads()


def differences(store: Store) -> list[str]:
    """How the migrated database differs from the tables in the code: nothing, unless a revision was forgotten."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from driftline.adapters.store.tables import metadata

    with store.read() as db:
        found = compare_metadata(MigrationContext.configure(db, opts={"compare_type": True}), metadata)
    return [str(each) for each in found]


def _config(db: Connection | None) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "driftline.adapters.store:migrations")
    config.attributes["connection"] = db
    return config


def _alone(db: Connection) -> None:
    if db.dialect.name == "postgresql":
        db.execute(text("SET LOCAL lock_timeout = '60s'"))
        db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


def _current(db: Connection) -> str | None:
    from alembic.migration import MigrationContext

    return MigrationContext.configure(db).get_current_revision()


def _is_older(config: "Config", db: Connection, target: str) -> bool:
    """Whether `target` lies before the database's revision."""
    from alembic.script import ScriptDirectory

    if target in ("head", "heads"):
        return False
    here = _current(db)
    if here is None or here == target:
        return False
    script = ScriptDirectory.from_config(config)
    return target in {revision.revision for revision in script.iterate_revisions(here, "base")}
