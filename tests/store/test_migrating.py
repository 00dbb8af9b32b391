"""The tables come and go by migrations, and are those of the code."""

import re
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import inspect

from driftline.adapters.store import installation
from driftline.adapters.store.engine import Store
from driftline.adapters.store.migrating import current, differences, heads, migrate, pending


def test_one_head() -> None:
    assert len(heads()) == 1


def test_the_migrated_tables_are_those_of_the_code(own_store: Store) -> None:
    assert differences(own_store) == []
    assert [current(own_store)] == heads()
    assert not pending(own_store)


def test_down_leaves_nothing_and_up_again_works(own_store: Store) -> None:
    migrate(own_store, "base")
    with own_store.read() as db:
        assert set(inspect(db).get_table_names()) <= {"alembic_version"}
    assert pending(own_store)
    migrate(own_store)
    assert differences(own_store) == []


def test_migrating_twice_at_once_is_harmless(own_store: Store) -> None:
    migrate(own_store, "base")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: migrate(own_store), range(4)))
    assert not pending(own_store)


def test_an_installation_has_one_id_that_stays_and_fits_a_label(own_store: Store) -> None:
    with own_store.read() as db:
        first = installation.installation_id(db)
    migrate(own_store)
    with own_store.read() as db:
        assert installation.installation_id(db) == first
    assert re.fullmatch(r"[a-z2-7]{26}", first)
