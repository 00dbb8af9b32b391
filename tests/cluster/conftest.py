"""One real API server for all tests of this folder, and our adapter connected to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.localcluster.localcluster import LocalCluster
from driftline.adapters.cluster.cluster import Cluster, connect
from driftline.adapters.settings import Settings
from tests.kit.apiproxy import ApiProxy, api_proxy
from tests.kit.cluster import Hands, access, hands, new_namespace, shared_cluster


@pytest.fixture(scope="session")
def local() -> LocalCluster:
    return shared_cluster()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def cluster(local: LocalCluster, settings: Settings) -> Iterator[Cluster]:
    connected = connect(access(local), settings)
    yield connected
    connected.close()


@pytest.fixture
def proxy(local: LocalCluster) -> Iterator[ApiProxy]:
    with api_proxy(local) as running:
        yield running


@pytest.fixture
def distant(local: LocalCluster, proxy: ApiProxy, settings: Settings) -> Iterator[Cluster]:
    """The same cluster, reached through a proxy that can fail."""
    connected = connect(access(local, server=proxy.url), settings)
    yield connected
    connected.close()


@pytest.fixture
def namespace(local: LocalCluster) -> str:
    return new_namespace(local)


@pytest.fixture
def by_hand(local: LocalCluster) -> Hands:
    return hands(local)
