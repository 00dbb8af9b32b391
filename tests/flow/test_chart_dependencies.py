"""A push whose chart depends on charts elsewhere: they are pulled, applied, and said where they cannot be."""

from pathlib import Path

import pytest

from deploy.localcluster.build import helm
from tests.flow.installation import Installation
from tests.kit.charthost import Answer, ChartHost

CHART = """apiVersion: v2
name: web
version: 1.0.0
dependencies: [{name: redis, version: %s, repository: '%s'}]
"""


@pytest.fixture
def installed(small: Installation) -> Installation:
    small.edges.close()
    small.edges = small.more_edges(helm=str(helm()), chart_private_addresses=True)
    return small


@pytest.mark.covers("GEN-06")
def test_a_push_with_a_new_version_of_a_dependency_is_applied(installed: Installation, tmp_path: Path) -> None:
    with ChartHost(tmp_path / "charts") as host:
        host.publish("redis", "1.0.0")
        host.publish("redis", "1.1.0")
        installed.push({"app/Chart.yaml": CHART % ("1.0.0", host.repository)})
        name = installed.declare()
        installed.settle()
        assert installed.status(name) == ("Synced", "Healthy")
        config = installed.config(f"{name}-redis")
        assert config is not None and config["data"]["version"] == "1.0.0"

        installed.push({"app/Chart.yaml": CHART % ("1.x", host.repository)})
        installed.fetch()
        installed.settle()
        assert installed.status(name) == ("Synced", "Healthy")
        config = installed.config(f"{name}-redis")
        assert config is not None and config["data"]["version"] == "1.1.0"
        assert "dependency redis: version 1.x is not pinned" in installed.conditions(name)["RenderWarning"]

    installed.look(name)
    installed.settle()
    assert installed.status(name) == ("Synced", "Healthy"), "what is here serves while the host is away"


def test_a_dependency_that_cannot_be_pulled_deletes_nothing(installed: Installation, tmp_path: Path) -> None:
    with ChartHost(tmp_path / "charts") as host:
        host.publish("redis", "1.0.0")
        installed.push({"app/Chart.yaml": CHART % ("1.0.0", host.repository)})
        name = installed.declare()
        installed.settle()
        host.answers["/charts/index.yaml"] = Answer(404)
        installed.push({"app/Chart.yaml": CHART % ("2.0.0", host.repository)})
        installed.fetch()
        installed.settle()
        (problem,) = [text for text in installed.conditions(name).values() if "redis" in text]
        assert f"app/Chart.yaml: dependency redis: {host.repository}/index.yaml: does not exist (HTTP 404)" in problem
        assert installed.config(f"{name}-redis") is not None
        del host.answers["/charts/index.yaml"]
        host.publish("redis", "2.0.0")
        installed.look(name)
        installed.settle()
        config = installed.config(f"{name}-redis")
        assert config is not None and config["data"]["version"] == "2.0.0"
