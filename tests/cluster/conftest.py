"""One real API server for all tests of this folder."""

import pytest

from deploy.localcluster.localcluster import LocalCluster
from tests.kit.cluster import shared_cluster


@pytest.fixture(scope="session")
def local() -> LocalCluster:
    return shared_cluster()
