"""The application over a fresh database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.adapters.store.engine import Store
from tests.kit.databases import postgres_server, postgres_shared, postgres_store, sqlite_store, sqlite_template, store
from tests.kit.site import Site
from tests.kit.site import site as make_site

__all__ = ["postgres_server", "postgres_shared", "postgres_store", "sqlite_store", "sqlite_template", "store"]


@pytest.fixture
def site(sqlite_store: Store, tmp_path: Path) -> Iterator[Site]:
    """On SQLite."""
    found = make_site(tmp_path / "data", sqlite_store.url.render_as_string(hide_password=False))
    yield found
    found.edges.close()


@pytest.fixture
def both(store: Store, tmp_path: Path) -> Iterator[Site]:
    """On SQLite and on PostgreSQL."""
    found = make_site(tmp_path / "data", store.url.render_as_string(hide_password=False))
    yield found
    found.edges.close()
