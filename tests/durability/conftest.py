"""One installation for the tests of durability, on each database in turn, with short leases; and what they count."""

from collections.abc import Iterator

import pytest

from deploy.demo.world import World
from deploy.localcluster.localcluster import LocalCluster
from tests.kit.databases import BOTH, PostgresServer, postgres_server
from tests.kit.world import Team, cluster, installation, team

__all__ = ["cluster", "crew", "postgres_server", "world"]


@pytest.fixture(scope="package", params=BOTH)
def world(
    request: pytest.FixtureRequest, cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A dead worker's jobs are taken over after three seconds."""
    url = ""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url(server.create())
    short = {"job_lease": "3", "job_attempts": "20", "health_interval": "1"}
    with installation(cluster, tmp_path_factory.mktemp("world"), url, **short) as found:
        yield found


@pytest.fixture
def crew(world: World, cluster: LocalCluster) -> Team:
    """A team with a repository and a namespace of its own."""
    return team(world, cluster, "dura")
