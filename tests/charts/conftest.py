"""A chart repository, and places where charts are kept."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from driftline.adapters.charts import Charts, ChartSettings
from driftline.model.access import RepositoryAccess
from tests.kit.charthost import ChartHost
from tests.kit.githost import Authority

MakeCharts = Callable[..., Charts]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ChartHost]:
    with ChartHost(tmp_path / "repository") as host:
        yield host


@pytest.fixture
def access(host: ChartHost) -> RepositoryAccess:
    return RepositoryAccess(host.repository, kind="helm")


@pytest.fixture
def make_charts(tmp_path: Path) -> Iterator[MakeCharts]:
    """Charts as another process would open them: same directory, nothing remembered."""
    made: list[Charts] = []

    def make(root: Path = tmp_path / "kept", **settings: object) -> Charts:
        short = {"deadline": timedelta(seconds=20)}
        made.append(Charts(root, ChartSettings(**{**short, **settings})))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for charts in made:
        charts.close()


@pytest.fixture
def charts(make_charts: MakeCharts) -> Charts:
    return make_charts()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))
