"""One installation per test: fresh database, Git host and namespace; the control plane is shared."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.localcluster.localcluster import LocalCluster
from driftline.adapters.store.engine import Store
from tests.flow.installation import Installation
from tests.kit.apiproxy import ApiProxy, api_proxy
from tests.kit.cluster import access, hands, new_namespace, shared_cluster
from tests.kit.databases import (
    postgres_server,
    postgres_shared,
    postgres_store,
    sqlite_store,
    sqlite_template,
    store,
)
from tests.kit.githost import GitHost
from tests.kit.slackhost import SlackHost

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


@pytest.fixture
def proxy(local: LocalCluster) -> Iterator[ApiProxy]:
    with api_proxy(local) as running:
        yield running


@pytest.fixture
def distant(
    store: Store, local: LocalCluster, host: GitHost, tmp_path: Path, proxy: ApiProxy
) -> Iterator[Installation]:
    """An installation whose API server can be made to fail."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(access(local, server=proxy.url).kubeconfig)
    yield from _running(store, local, host, tmp_path, kubeconfig=str(kubeconfig))


@pytest.fixture
def telling(
    store: Store, local: LocalCluster, host: GitHost, tmp_path: Path, slack: SlackHost
) -> Iterator[Installation]:
    """An installation whose alerts arrive at `slack`."""
    yield from _running(store, local, host, tmp_path, recipients=f"webhook:{slack.webhook_url}")


@pytest.fixture
def slack() -> Iterator[SlackHost]:
    with SlackHost() as running:
        yield running


def _running(store: Store, local: LocalCluster, host: GitHost, folder: Path, **more: str) -> Iterator[Installation]:
    namespace = new_namespace(local, "flow")
    made = Installation(store, local, host, folder, namespace, **more)  # type: ignore[arg-type]
    yield made
    made.close()
    hands(local).delete("v1/namespaces", "", namespace)
