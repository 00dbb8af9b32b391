"""One installation for all stories, on each database in turn; each test has a team of its own."""

import pytest

from deploy.demo.world import World
from deploy.localcluster.localcluster import LocalCluster
from tests.kit.databases import postgres_server
from tests.kit.world import Team, cluster, team, world

__all__ = ["cluster", "crew", "postgres_server", "world"]


@pytest.fixture
def crew(world: World, cluster: LocalCluster) -> Team:
    """A team with a repository and a namespace of its own."""
    return team(world, cluster)
