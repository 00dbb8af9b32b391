"""Databases for tests: a migrated SQLite file, or a database of a private PostgreSQL, fresh for each test.

A folder's conftest imports the fixtures that it needs, and those that they need: `store` runs a test on both databases
(and wants all the others), `sqlite_store` (wants `sqlite_template`) and `postgres_store` (wants `postgres_shared` and
`postgres_server`) on one of them.
"""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event

from driftline.adapters.store.engine import Store
from driftline.adapters.store.migrating import migrate
from driftline.adapters.store.tables import installation, metadata

TEMPLATE = "driftline_template"
START_WAIT = 20.0
"""Seconds."""


@dataclass
class Statements:
    """What was sent to a database; transaction control and settings are not counted as statements."""

    sql: list[str] = field(default_factory=list)
    transactions: int = 0

    def __len__(self) -> int:
        return len(self.sql)


@contextmanager
def count_statements(engine: Engine) -> Iterator[Statements]:
    """Count what happens on `store.engine` inside the block; a batch of rows is one statement."""
    seen = Statements()

    def before(db: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if not statement.upper().startswith(("BEGIN", "PRAGMA", "SET ")):
            seen.sql.append(statement)

    def begin(db: Any) -> None:
        seen.transactions += 1

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "begin", begin)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "begin", begin)


class PostgresServer:
    """A PostgreSQL of our own: no network, no fsync, gone with the test run even if that is killed."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs = programs
        self.folder = folder
        self.data = folder / "data"
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the cluster, start it and wait until it answers."""
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        initdb = [
            str(self.programs / "initdb"),
            "-D",
            str(self.data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-N",
            "-E",
            "UTF8",
        ]
        made = subprocess.run(_as_postgres(initdb), cwd=self.folder, capture_output=True, text=True, timeout=120)
        if made.returncode != 0:
            raise RuntimeError(f"initdb: {made.stderr}")
        self.resume()

    def resume(self) -> None:
        """Start it on the data that is there, and wait until it answers."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "200",
            "shared_buffers": "32MB",
            "deadlock_timeout": "200ms",
            "log_min_messages": "fatal",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(self.programs / "postgres"), "-D", str(self.data), *options]
        log = (self.folder / "log").open("wb")
        self._process = subprocess.Popen(_as_postgres(command), cwd=self.folder, stdout=log, stderr=log)
        log.close()
        self._wait()

    def halt(self) -> None:
        """Stop as a crash does; `resume` goes on from the log."""
        if self._process is not None:
            # SIGQUIT is PostgreSQL's immediate shutdown: it ends its children itself.
            self._process.send_signal(3)
            self._process.wait(timeout=20)
            self._process = None

    def stop(self) -> None:
        """Stop at once and remove every file."""
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of a database."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def create(self, template: str = "template0") -> str:
        """A new database; returns its name."""
        name = f"driftline_{os.getpid()}_{next(self._numbers)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def disconnect(self, name: str) -> None:
        """Cut every connection to a database."""
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    def execute(self, sql: str) -> None:
        """Run one statement in the maintenance database."""
        with psycopg.connect(f"host={self.folder} user=postgres dbname=postgres", autocommit=True) as db:
            db.execute(sql.encode())

    def _wait(self) -> None:
        end = time.monotonic() + START_WAIT
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError as error:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()}") from error
                time.sleep(0.05)


def postgres_programs() -> Path:
    """Where initdb and postgres are, the newest version first. Raises RuntimeError with what helps if nowhere."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path and shutil.which("postgres", path=str(Path(on_path).parent)):
        return Path(on_path).parent
    raise RuntimeError("PostgreSQL is missing, and the store is tested on it: apt-get install postgresql")


def _as_postgres(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root; and it must not outlive the tests, even killed ones."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return command if os.geteuid() != 0 else ["runuser", "-u", "postgres", "--", *command]
    as_user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    return [setpriv, *as_user, "--pdeathsig", "QUIT", "--", *command]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole run, with a migrated template."""
    # Not pytest's own folder: that is closed to the user postgres, and too long for a socket's path.
    server = PostgresServer(postgres_programs(), Path(tempfile.mkdtemp(prefix="dlpg-", dir="/tmp")))
    try:
        server.start()
        server.execute(f'CREATE DATABASE "{TEMPLATE}" TEMPLATE template0')
        template = Store(server.url(TEMPLATE))
        migrate(template)
        template.dispose()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    store = Store(f"sqlite:///{path}")
    migrate(store)
    with store.engine.connect() as db:
        db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.dispose()
    return path


@pytest.fixture
def sqlite_store(sqlite_template: Path, tmp_path: Path) -> Iterator[Store]:
    """A migrated, empty SQLite database."""
    path = tmp_path / "driftline.db"
    shutil.copyfile(sqlite_template, path)
    store = Store(f"sqlite:///{path}")
    yield store
    store.dispose()


@pytest.fixture(scope="session")
def postgres_shared(postgres_server: PostgresServer) -> str:
    """The name of the database that `postgres_store` empties for each test: cloning one takes 0.4 s."""
    return postgres_server.create(TEMPLATE)


@pytest.fixture
def postgres_store(postgres_server: PostgresServer, postgres_shared: str) -> Iterator[Store]:
    """A migrated, empty PostgreSQL database. Leave its schema as it is; else ask for `postgres_own_store`."""
    # What a test before us left open would hold locks.
    postgres_server.disconnect(postgres_shared)
    store = Store(postgres_server.url(postgres_shared))
    with store.write() as db:
        for table in reversed(metadata.sorted_tables):
            if table is not installation:
                db.execute(table.delete())
    yield store
    store.dispose()


@pytest.fixture
def postgres_own_store(postgres_server: PostgresServer) -> Iterator[Store]:
    """A migrated, empty PostgreSQL database for a test that changes the schema."""
    name = postgres_server.create(TEMPLATE)
    store = Store(postgres_server.url(name))
    yield store
    store.dispose()
    postgres_server.drop(name)


BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=BOTH)
def own_store(request: pytest.FixtureRequest) -> Store:
    """The same as `store`, for tests that change the schema."""
    name = "sqlite_store" if request.param == "sqlite" else "postgres_own_store"
    found: Store = request.getfixturevalue(name)
    return found


@pytest.fixture(params=BOTH)
def store(request: pytest.FixtureRequest) -> Store:
    """A migrated, empty database: the test runs on SQLite and on PostgreSQL."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found
