"""The tables come and go by migrations, and are those of the code."""

import re
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import inspect

from driftline.adapters.store import installation
from driftline.adapters.store.engine import Store
from driftline.adapters.store.migrating import current, differences, heads, migrate, pending


def test_one_head() -> None:
    assert len(heads()) == 1


def test_the_migrated_tables_are_those_of_the_code(store: Store) -> None:
    assert differences(store) == []
    assert [current(store)] == heads()
    assert not pending(store)


def test_down_leaves_nothing_and_up_again_works(store: Store) -> None:
    migrate(store, "base")
    with store.read() as db:
        assert set(inspect(db).get_table_names()) <= {"alembic_version"}
    assert pending(store)
    migrate(store)
    assert differences(store) == []


def test_migrating_twice_at_once_is_harmless(store: Store) -> None:
    migrate(store, "base")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: migrate(store), range(4)))
    assert not pending(store)


def test_an_installation_has_one_id_that_stays_and_fits_a_label(store: Store) -> None:
    with store.read() as db:
        first = installation.installation_id(db)
    migrate(store)
    with store.read() as db:
        assert installation.installation_id(db) == first
    assert re.fullmatch(r"[a-z2-7]{26}", first)
