"""One installation per test: fresh database, Git host and namespace; the control plane is shared."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.localcluster.localcluster import LocalCluster
from driftline.adapters.store.engine import Store
from tests.flow.installation import Installation
from tests.kit.cluster import hands, new_namespace, shared_cluster
from tests.kit.databases import (
    postgres_server,
    postgres_shared,
    postgres_store,
    sqlite_store,
    sqlite_template,
    store,
)
from tests.kit.githost import GitHost

__all__ = ["postgres_server", "postgres_shared", "postgres_store", "sqlite_store", "sqlite_template", "store"]


@pytest.fixture(scope="session")
def local() -> LocalCluster:
    return shared_cluster()


@pytest.fixture(scope="session")
def host() -> Iterator[GitHost]:
    with GitHost() as running:
        yield running


@pytest.fixture
def here(store: Store, local: LocalCluster, host: GitHost, tmp_path: Path) -> Iterator[Installation]:
    """An installation on SQLite, and again on PostgreSQL."""
    yield from _running(store, local, host, tmp_path)


@pytest.fixture
def small(sqlite_store: Store, local: LocalCluster, host: GitHost, tmp_path: Path) -> Iterator[Installation]:
    """An installation on SQLite only, for what no database changes."""
    yield from _running(sqlite_store, local, host, tmp_path)


def _running(store: Store, local: LocalCluster, host: GitHost, folder: Path) -> Iterator[Installation]:
    namespace = new_namespace(local, "flow")
    made = Installation(store, local, host, folder, namespace)
    yield made
    made.close()
    hands(local).delete("v1/namespaces", "", namespace)
