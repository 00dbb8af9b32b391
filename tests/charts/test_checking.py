"""Whether a repository lets us in, and one question for several charts of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from driftline.adapters.charts import Charts
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent, Temporary
from tests.kit.charthost import PASSWORD, USER, Answer, ChartHost, RegistryHost


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryHost]:
    with RegistryHost.with_login(tmp_path / "registry" / "data") as running:
        yield running


@pytest.mark.covers("REPO-09")
def test_a_chart_repository_is_well_if_its_index_can_be_read(
    host: ChartHost, access: RepositoryAccess, charts: Charts
) -> None:
    with pytest.raises(Permanent, match="does not exist"):
        charts.check(access)
    host.publish("redis", "1.0.0")
    charts.check(access)
    host.answers["/charts/index.yaml"] = Answer(200, b"<html>Log in</html>")
    with pytest.raises(Permanent):
        charts.check(access)
    host.answers["/charts/index.yaml"] = Answer(503)
    with pytest.raises(Temporary):
        charts.check(access)


@pytest.mark.covers("REPO-09")
@pytest.mark.parametrize("path", ["", "/charts"])
def test_a_registry_is_well_if_it_lets_us_in(registry: RegistryHost, charts: Charts, path: str) -> None:
    access = RepositoryAccess(registry.address + path, "oci", USER, PASSWORD, plain_http=True)
    charts.check(access)
    with pytest.raises(Permanent, match="authentication failed"):
        charts.check(replace(access, password="wrong"))
    with pytest.raises(Permanent, match="authentication failed"):
        charts.check(replace(access, username="", password=""))


def test_several_charts_cost_one_question(host: ChartHost, access: RepositoryAccess, charts: Charts) -> None:
    for name in ("redis", "web"):
        host.publish(name, "1.0.0")
    assert charts.versions(access, "redis") == ("1.0.0",)
    assert charts.versions(access, "web", fresh=False) == ("1.0.0",)
    assert charts.versions(access, "nothing", fresh=False) == ()
    assert host.paths() == ["/charts/index.yaml"]
