"""Transactions: who waits for whom, what a failure means, and what a fork does."""

import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, insert, select, text

from driftline.adapters.store import ticks
from driftline.adapters.store.columns import now
from driftline.adapters.store.engine import Store, StoreSettings
from driftline.adapters.store.errors import DatabaseAway, DatabaseBusy
from driftline.adapters.store.tables import tick
from driftline.model.errors import Permanent
from tests.kit.databases import PostgresServer, count_statements


def test_a_write_is_kept_and_a_failed_one_leaves_nothing(store: Store) -> None:
    with store.write() as db:
        assert ticks.take(db, "kept", 1)

    def breaks(db: Connection) -> float:
        ticks.take(db, "lost", 1)
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        store.transact(breaks)
    with store.read() as db:
        assert list(db.execute(select(tick.c.name)).scalars()) == ["kept"]


def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(DatabaseAway), store.read() as db:
        ticks.take(db, "sneaked in", 1)
    with store.write() as db:
        assert ticks.take(db, "sneaked in", 1)


def test_write_transactions_do_not_nest(store: Store) -> None:
    with store.write(), pytest.raises(RuntimeError), store.write():
        pass
    with store.write() as db:
        assert ticks.take(db, "after", 1)


def test_a_reader_sees_one_moment_while_others_write(sqlite_store: Store) -> None:
    with sqlite_store.read() as db:
        assert list(db.execute(select(tick.c.name))) == []
        with sqlite_store.write() as other:
            ticks.take(other, "later", 1)
        assert list(db.execute(select(tick.c.name))) == []


def test_sqlite_settings_and_begin_immediate(sqlite_store: Store) -> None:
    seen: list[str] = []
    event.listen(sqlite_store.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    with sqlite_store.write() as db:
        pragmas = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        values = [db.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in pragmas]
    assert values == ["wal", 1, 5000, 1]
    assert seen[0] == "BEGIN IMMEDIATE"
    seen.clear()
    with sqlite_store.read():
        pass
    assert seen == ["BEGIN"]


def test_full_synchronous_is_a_setting(sqlite_store: Store) -> None:
    careful = Store(str(sqlite_store.url), StoreSettings(sqlite_synchronous="FULL"))
    with careful.read() as db:
        assert db.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    careful.dispose()
    with pytest.raises(Permanent, match="want NORMAL"):
        _ = Store(str(sqlite_store.url), StoreSettings(sqlite_synchronous="OFF")).engine


def test_postgresql_settings(postgres_store: Store) -> None:
    with postgres_store.read() as db:
        names = (
            "lock_timeout",
            "idle_in_transaction_session_timeout",
            "transaction_isolation",
            "transaction_read_only",
        )
        values = [db.execute(text(f"SHOW {name}")).scalar_one() for name in names]
    assert values == ["2s", "30s", "read committed", "on"]
    with postgres_store.write() as db:
        assert db.execute(text("SHOW transaction_read_only")).scalar_one() == "off"


def test_the_databases_clock_is_utc_and_near_ours(store: Store) -> None:
    with store.read() as db:
        clock = now(db)
    assert clock.utcoffset() == timedelta(0)
    assert abs(clock.timestamp() - time.time()) < 5


def test_writers_of_sqlite_queue_and_none_is_refused(sqlite_store: Store) -> None:
    def work(worker: int) -> float:
        longest = 0.0
        for slot in range(20):
            start = time.monotonic()
            with sqlite_store.write() as db:
                ticks.take(db, f"worker-{worker}", slot)
            longest = max(longest, time.monotonic() - start)
        return longest

    with ThreadPoolExecutor(16) as threads:
        longest = max(threads.map(work, range(16)))
    with sqlite_store.read() as db:
        assert len(list(db.execute(select(tick.c.slot)))) == 320
    # 320 transactions of a few milliseconds: polling would let the unlucky wait for seconds.
    assert longest < 2.0


def test_a_writer_that_hangs_is_named_after_our_patience(sqlite_store: Store) -> None:
    hasty = Store(str(sqlite_store.url), StoreSettings(sqlite_queue=timedelta(milliseconds=100)))
    with sqlite_store.write():
        found = _in_thread(lambda: _take(hasty, "impatient"))
    assert isinstance(found, DatabaseBusy)
    assert "may hang" in str(found)
    # The one who left the queue does not keep the lock that it got too late.
    assert _in_thread(lambda: _take(hasty, "next")) is None
    assert _in_thread(lambda: _take(sqlite_store, "and the next")) is None
    hasty.dispose()


def test_a_locked_database_is_busy_not_broken(sqlite_store: Store) -> None:
    hasty = Store(str(sqlite_store.url), StoreSettings(sqlite_busy=timedelta(milliseconds=50)))
    foreign = sqlite3.connect(sqlite_store.url.database or "", isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusy), hasty.write():
        pass
    foreign.execute("ROLLBACK")
    with hasty.write() as db:
        assert ticks.take(db, "now", 1)
    foreign.close()
    hasty.dispose()


def test_a_database_without_tables_says_what_to_do(tmp_path: Path) -> None:
    empty = Store(f"sqlite:///{tmp_path}/new/folder/driftline.db")
    with pytest.raises(Permanent, match="run driftline migrate"), empty.write() as db:
        ticks.take(db, "early", 1)
    empty.dispose()


def test_urls_that_cannot_work_are_refused_at_once() -> None:
    for url in ("sqlite://", "sqlite:///:memory:", "mysql://host/name", "nonsense"):
        with pytest.raises(Permanent):
            Store(url)
    assert "secret" not in Store("postgresql://anna:secret@host/name").where


def test_a_database_that_is_down_is_temporary(tmp_path: Path) -> None:
    down = Store(f"postgresql://nobody@/nothing?host={tmp_path}")
    with pytest.raises(DatabaseAway, match="check that it runs"), down.read():
        pass


def test_a_killed_connection_is_temporary_and_the_next_one_works(
    postgres_store: Store, postgres_server: PostgresServer
) -> None:
    def cut_off(db: Connection) -> bool:
        number = db.execute(text("SELECT pg_backend_pid()")).scalar_one()
        postgres_server.execute(f"SELECT pg_terminate_backend({number})")
        return ticks.take(db, "cut off", 1)

    with pytest.raises(DatabaseAway):
        postgres_store.transact(cut_off)
    assert postgres_store.transact(lambda db: ticks.take(db, "cut off", 1))


def test_a_deadlock_runs_the_unit_again(postgres_store: Store) -> None:
    with postgres_store.write() as db:
        db.execute(insert(tick), [{"name": name, "slot": 1, "taken_at": now(db)} for name in "ab"])
    meet = threading.Barrier(2, timeout=10)
    runs: list[str] = []

    def cross(first: str, second: str) -> None:
        def unit(db: Connection) -> None:
            runs.append(first)
            for name in (first, second):
                db.execute(text("UPDATE tick SET slot = slot + 1 WHERE name = :name"), {"name": name})
                if name == first and len(runs) <= 2:
                    meet.wait()

        postgres_store.transact(unit)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(cross, "ab", "ba"))
    with postgres_store.read() as db:
        assert list(db.execute(select(tick.c.slot)).scalars()) == [3, 3]
    assert len(runs) == 3


def test_a_child_makes_its_own_connections(store: Store) -> None:
    with store.write() as db:
        ticks.take(db, "parent", 1)
    child = os.fork()
    if child == 0:
        with store.write() as db:
            ticks.take(db, "child", 1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with store.write() as db:
        assert not ticks.take(db, "child", 1)
        assert not ticks.take(db, "parent", 1)


def test_a_child_that_lives_on_does_not_keep_the_write_lock(sqlite_store: Store) -> None:
    with sqlite_store.write() as db:
        ticks.take(db, "fork", 1)
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
    try:
        started = time.monotonic()
        assert _in_thread(lambda: _take(sqlite_store, "free")) is None
        assert time.monotonic() - started < 2
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_the_counter_counts(store: Store) -> None:
    with count_statements(store.engine) as seen, store.write() as db:
        ticks.take(db, "one", 1)
        ticks.last(db, "one")
    assert (len(seen), seen.transactions) == (2, 1)


def _take(store: Store, name: str) -> None:
    with store.write() as db:
        assert ticks.take(db, name, 1)


def _in_thread(work: object) -> BaseException | None:
    """What a thread raised."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).exception(timeout=20)  # type: ignore[arg-type]
