"""Puts every sealed column of the database under the newest key. Called by the CLI's `keys rotate`.

This table is the list of what is sealed, and for which identity: seal with `sealing.context(table, column, identity)`.
"""

from sqlalchemy import Connection, Table, select, update

from driftline.adapters.sealing import Sealer, context
from driftline.adapters.store.engine import Store
from driftline.adapters.store.tables import cluster, render, repository, sync

SEALED: tuple[tuple[Table, str, tuple[str, ...]], ...] = (
    (repository, "credentials", ("hook_id",)),
    (repository, "hook_secret", ("hook_id",)),
    (cluster, "access", ("name",)),
    (render, "sealed", ("key",)),
    (sync, "plan", ("application_id", "plan_digest")),
)
"""Table, sealed column, and the columns whose values its context names, with `/` between them."""

BATCH = 100


def rotate_all(store: Store, sealer: Sealer) -> int:
    """Seal again what is not under the newest key; return how many values were.

    Works in small transactions beside running workers: a value that changed meanwhile is left as it is now, because
    it was sealed with the newest key. Can be stopped and started again at any time. Raises Permanent for a value that
    no key opens, naming its row.
    """
    return sum(_rotate_column(store, sealer, *each) for each in SEALED)


def _rotate_column(store: Store, sealer: Sealer, table: Table, column: str, identity: tuple[str, ...]) -> int:
    done, last = 0, 0
    while True:
        with store.read() as db:
            rows = _some(db, table, column, identity, last)
        if not rows:
            return done
        fresh: list[tuple[int, bytes, bytes]] = []
        for number, sealed, name in rows:
            again = sealer.rotate(sealed, context(table.name, column, name))
            if again is not None:
                fresh.append((number, sealed, again))
        if fresh:
            done += store.transact(lambda db, fresh=fresh: _replace(db, table, column, fresh))  # type: ignore[misc]
        last = rows[-1][0]


def _some(
    db: Connection, table: Table, column: str, identity: tuple[str, ...], after: int
) -> list[tuple[int, bytes, str]]:
    query = select(table.c.id, table.c[column], *(table.c[each] for each in identity))
    query = query.where(table.c.id > after, table.c[column].is_not(None)).order_by(table.c.id).limit(BATCH)
    return [(number, sealed, "/".join(map(str, names))) for number, sealed, *names in db.execute(query)]


def _replace(db: Connection, table: Table, column: str, fresh: list[tuple[int, bytes, bytes]]) -> int:
    done = 0
    for number, old, new in fresh:
        change = update(table).where(table.c.id == number, table.c[column] == old)
        done += db.execute(change.values({column: new})).rowcount
    return done
