"""Makes the database engines, and is the only place that does. Everyone else gets a Store and its transactions."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from driftline.adapters.store.errors import Contention, DatabaseAway, translate
from driftline.adapters.store.filelock import FileLock
from driftline.model.errors import Permanent

T = TypeVar("T")

_WRITES = "driftline_writes"

STATEMENTS = 64
"""Prepared statements that a connection to SQLite keeps; those with long IN lists take a tenth of a megabyte each."""
ROWS = 200
"""Rows in one INSERT on SQLite. One of a thousand rows is prepared into megabytes, which its connection then keeps."""


@dataclass(frozen=True)
class StoreSettings:
    """How the store talks to its database."""

    sqlite_synchronous: str = "NORMAL"
    """`NORMAL`, or `FULL`: with NORMAL a power loss may cost the last commits, never consistency.
    `DRIFTLINE_SQLITE_SYNCHRONOUS`."""
    sqlite_busy: timedelta = timedelta(seconds=5)
    """How long a statement waits for another SQLite writer. `DRIFTLINE_SQLITE_BUSY`, seconds."""
    sqlite_queue: timedelta = timedelta(seconds=10)
    """How long a writer queues for its turn before it gives up. `DRIFTLINE_SQLITE_QUEUE`, seconds."""
    sqlite_cache: int = 512
    """KiB of pages that each connection to SQLite keeps; behind it is the cache of the system, which all share."""
    pool_size: int = 16
    """Connections that a process keeps. `DRIFTLINE_DATABASE_POOL`."""
    pool_wait: timedelta = timedelta(seconds=5)
    """How long a thread waits for a free connection. `DRIFTLINE_DATABASE_POOL_WAIT`, seconds."""
    connect_timeout: timedelta = timedelta(seconds=5)
    """How long a connection to PostgreSQL may take. `DRIFTLINE_DATABASE_CONNECT`, seconds."""
    lock_timeout: timedelta = timedelta(seconds=2)
    """How long a statement waits for a PostgreSQL lock. `DRIFTLINE_DATABASE_LOCK`, seconds."""
    idle_in_transaction: timedelta = timedelta(seconds=30)
    """After which PostgreSQL ends a transaction that does nothing. `DRIFTLINE_DATABASE_IDLE`, seconds."""


class Store:
    """One database. Threads may share it, and it may be made before a fork: engines are made per process."""

    def __init__(self, url: str, settings: StoreSettings = StoreSettings()) -> None:
        """`url` is SQLAlchemy's: `sqlite:////var/lib/driftline/driftline.db` or `postgresql://user:pw@host/name`."""
        self.url = _normal(url)
        self.settings = settings
        self.where = self.url.render_as_string(hide_password=True)
        self._made: tuple[int, Engine] | None = None
        self._making = threading.Lock()
        self._thread = threading.local()
        path = self.url.database or ""
        self._queue = FileLock(Path(f"{path}.lock"), settings.sqlite_queue) if self.is_sqlite else None

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def engine(self) -> Engine:
        """The engine of this process. For the store and its tests; others use `read` and `write`."""
        made = self._made
        if made is None or made[0] != os.getpid():
            with self._making:
                made = self._made
                if made is None or made[0] != os.getpid():
                    if made is not None:
                        # Made before the fork: the connections are the parent's, so forget them without closing.
                        made[1].dispose(close=False)
                    made = self._made = (os.getpid(), _engine(self.url, self.settings))
        return made[1]

    def dispose(self) -> None:
        """Close all idle connections of this process."""
        if self._made is not None and self._made[0] == os.getpid():
            self._made[1].dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads; nothing it wrote would stay. Raises Temporary if the database is away."""
        with self._translated(), self._connect(writes=False) as db, db.begin() as transaction:
            yield db
            transaction.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: committed at the end, undone by an exception.

        On SQLite writers queue in the kernel and the lock is taken by BEGIN IMMEDIATE, so that a statement in the
        middle is never refused. Never hold it across a call to Git, a cluster or a channel, and never nest it.
        """
        if getattr(self._thread, "writing", False):
            raise RuntimeError("a write transaction is already open in this thread")
        self._thread.writing = True
        try:
            with self._turn(), self._translated(), self._connect(writes=True) as db, db.begin():
                yield db
        finally:
            self._thread.writing = False

    def transact(self, unit: Callable[[Connection], T], attempts: int = 3) -> T:
        """Run `unit` in one write transaction and return its result, again (3 times in all) after a deadlock.

        `unit` must have no effects but on the database. Raises what `unit` raised, or Temporary.
        """
        for attempt in range(1, attempts + 1):
            try:
                with self.write() as db:
                    return unit(db)
            except Contention:
                if attempt == attempts:
                    raise
                time.sleep(random.uniform(0.005, 0.05) * attempt)  # noqa: S311 - only spreads the rivals
        raise ValueError("attempts must be at least 1")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Our turn among the writers of a SQLite file; PostgreSQL needs none."""
        if self._queue is None:
            yield
            return
        with self._queue:
            yield

    @contextmanager
    def _connect(self, writes: bool) -> Iterator[Connection]:
        with self.engine.connect() as db:
            if self.is_sqlite:
                db.execution_options(**{_WRITES: writes})
            elif not writes:
                db.execution_options(postgresql_readonly=True)
            yield db

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, PoolTimeout) as error:
            meaning = translate(error, self.where)
            if meaning is None:
                raise
            raise meaning from error


def _normal(text: str) -> URL:
    """The URL with the driver that we use. Raises Permanent for databases that we do not know."""
    try:
        url = make_url(text)
    except Exception as error:
        raise Permanent("the database URL cannot be read; want sqlite:////path or postgresql://...") from error
    backend = url.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise Permanent(f"{backend}: unknown kind of database; want sqlite:////path or postgresql://...")
    if url.database in (None, "", ":memory:"):
        raise Permanent("sqlite: the database must be a file on a local disk, because several processes share it")
    return url


def _engine(url: URL, settings: StoreSettings) -> Engine:
    common: dict[str, Any] = {
        "pool_size": settings.pool_size,
        "max_overflow": settings.pool_size,
        "pool_timeout": settings.pool_wait.total_seconds(),
        "hide_parameters": True,
        # The connection used last comes first, with its warm caches; those of a busy moment stay small.
        "pool_use_lifo": True,
    }
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, settings, common)
    options = {
        "lock_timeout": settings.lock_timeout,
        "idle_in_transaction_session_timeout": settings.idle_in_transaction,
    }
    arguments = {
        "options": " ".join(f"-c {name}={int(value.total_seconds() * 1000)}" for name, value in options.items()),
        "connect_timeout": int(settings.connect_timeout.total_seconds()),
        "application_name": "driftline",
    }
    return create_engine(url, isolation_level="READ COMMITTED", pool_pre_ping=True, connect_args=arguments, **common)


def _make_folder(path: Path) -> None:
    try:
        path.absolute().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseAway(f"{path}: its folder cannot be made ({error.strerror})") from error


def _sqlite_engine(url: URL, settings: StoreSettings, common: dict[str, Any]) -> Engine:
    if settings.sqlite_synchronous.upper() not in ("NORMAL", "FULL", "EXTRA"):
        raise Permanent(f"sqlite synchronous={settings.sqlite_synchronous}: want NORMAL, FULL or EXTRA")
    _make_folder(Path(url.database or ""))
    busy = settings.sqlite_busy.total_seconds()
    arguments = {"isolation_level": None, "timeout": busy, "cached_statements": STATEMENTS}
    engine = create_engine(url, connect_args=arguments, insertmanyvalues_page_size=ROWS, **common)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        for pragma in (
            f"busy_timeout={int(busy * 1000)}",
            "journal_mode=WAL",
            f"synchronous={settings.sqlite_synchronous.upper()}",
            "foreign_keys=ON",
            "journal_size_limit=67108864",
            f"cache_size=-{settings.sqlite_cache}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(db: Connection) -> None:
        # The driver would begin late and on its own terms; a deferred BEGIN cannot be upgraded under load.
        writes = db.get_execution_options().get(_WRITES, False)
        db.connection.driver_connection.execute(f"PRAGMA query_only={0 if writes else 1}")  # type: ignore[union-attr]
        db.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
