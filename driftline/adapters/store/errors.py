"""What the database's own errors mean to the rest: busy, away, or not prepared. Called by the engine only."""

import sqlite3
from datetime import timedelta

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from driftline.model.errors import Permanent, Temporary

_SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SQLITE_AWAY = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
}
_CONTENTION = {"40001", "40P01"}
"""Serialisation failure, deadlock."""
_LOCK_TIMEOUT = "55P03"
_POSTGRESQL_AWAY = {"25006", "25P03", "28000", "28P01", "3D000", "57P01", "57P02", "57P03"}
"""Read-only, killed while idle, refused logins, no such database, shutdown, crash, starting up."""
_POSTGRESQL_AWAY_CLASSES = {"08", "53", "58"}
"""Connections, resources (disk full, too many connections), and the server's own input and output."""
_NO_TABLE = "42P01"


class DatabaseBusy(Temporary):
    """We waited long enough for another transaction or a connection; worth trying again in a second."""

    def __init__(self, message: str) -> None:
        super().__init__(message, delay=timedelta(seconds=1))


class Contention(DatabaseBusy):
    """Two transactions collided and ours was undone: the same unit may succeed at once, so `transact` repeats it."""


class DatabaseAway(Temporary):
    """The database does not answer, cannot write, or refuses us."""


def translate(error: DBAPIError | PoolTimeout, where: str) -> Temporary | Permanent | None:
    """Name the kind of a database error, or None for one that is a mistake in our own SQL or data.

    `where` is the database's URL without its password. Statement and parameters stay out of the text: they hold data.
    """
    if isinstance(error, PoolTimeout):
        return DatabaseBusy(f"{where}: all connections of this process are in use; raise the pool size or try again")
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return _sqlite(cause, where)
    state = getattr(cause, "sqlstate", None)
    if state in _CONTENTION:
        return Contention(f"{where}: another transaction was in the way ({_line(cause)})")
    if state == _LOCK_TIMEOUT:
        return DatabaseBusy(f"{where}: another transaction holds the row for long ({_line(cause)})")
    if state == _NO_TABLE:
        return _unprepared(where)
    lost = state is None and error.connection_invalidated
    refused = state is None and type(cause).__name__ == "OperationalError"
    if lost or refused or state in _POSTGRESQL_AWAY or (state or "")[:2] in _POSTGRESQL_AWAY_CLASSES:
        return DatabaseAway(f"{where}: the database cannot serve us ({_line(cause)}); check that it runs and has space")
    return None


def _sqlite(cause: sqlite3.Error, where: str) -> Temporary | Permanent | None:
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code in _SQLITE_BUSY:
        return DatabaseBusy(f"{where}: another writer holds the database ({_line(cause)})")
    if code in _SQLITE_AWAY:
        return DatabaseAway(f"{where}: cannot be used ({_line(cause)}); check the disk and the file's permissions")
    if "no such table" in str(cause):
        return _unprepared(where)
    return None


def _unprepared(where: str) -> Permanent:
    return Permanent(f"{where}: the tables are missing or old; run driftline migrate first")


def _line(cause: BaseException | None) -> str:
    """The first line of a driver's message: the next ones may quote values."""
    return str(cause).strip().partition("\n")[0] if cause else "no reason given"
