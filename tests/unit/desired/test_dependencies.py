"""Which charts of other repositories a chart needs, and at which versions; found by a supplier in memory."""

import hashlib
from dataclasses import dataclass, field

import pytest

from driftline.desired.dependencies import Gathering, Need, Supply
from driftline.desired.lookup import Lookup
from driftline.desired.material import Material
from driftline.model.errors import Permanent
from tests.kit.memory_tree import MemoryTree

REDIS = {"Chart.yaml": "name: redis\nversion: 18.1.0\n", "templates/r.yaml": "kind: Service\n"}
ROW = "{name: redis, version: 18.x, repository: 'https://charts.example/stable'}"
LOCK = """dependencies:
- name: redis
  repository: https://charts.example/stable
  version: 18.1.0
digest: %s
generated: "2026-01-01T00:00:00Z"
"""


@dataclass
class Shelf:
    """Supplies what it holds by name, and remembers what was asked for."""

    charts: dict[str, dict[str, str]]
    needs: list[Need] = field(default_factory=list)

    def supply(self, need: Need) -> Supply:
        self.needs.append(need)
        return Supply("18.1.0", f"sha256:{need.name.encode().hex():0<64}", MemoryTree(self.charts[need.name]))


def gathered(rows: list[str], shelf: Shelf | None, more: dict[str, str] | None = None) -> Gathering:
    listed = "".join(f"- {row}\n" for row in rows)
    files = {"app/Chart.yaml": f"apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n{listed}"} | (more or {})
    material = Material(Lookup(MemoryTree(files)))
    root = material.find("app")
    assert root is not None
    material.add_directory(root)
    found = Gathering(material, shelf)
    found.add("app", "app")
    return found


def test_a_range_is_asked_for_and_warned_of() -> None:
    shelf = Shelf({"redis": REDIS})
    found = gathered([ROW], shelf)
    assert shelf.needs == [Need("app/Chart.yaml", "redis", "https://charts.example/stable", "18.x", False)]
    (warning,) = found.warnings
    assert warning == "app/Chart.yaml: dependency redis: version 18.x is not pinned; commit the lock file beside it"
    (place,) = found.supplied
    assert place.startswith("app/charts/redis-")
    contents = found.material.contents()
    assert contents[f"{place}/templates/r.yaml"] == b"kind: Service\n" and "app/Chart.yaml" in contents


@pytest.mark.parametrize("version", ["18.1.0", "v18.1.0", "18.1.0-rc.1+x"])
def test_an_exact_version_is_pinned_without_a_lock(version: str) -> None:
    shelf = Shelf({"redis": REDIS})
    found = gathered([ROW.replace("18.x", f"'{version}'")], shelf)
    assert shelf.needs[0].exact and shelf.needs[0].version == version and not found.warnings


def test_a_lock_that_fits_pins() -> None:
    shelf = Shelf({"redis": REDIS})
    asked = '{"name":"redis","version":"18.x","repository":"https://charts.example/stable"}'
    text = f"[[{asked}],[{asked.replace('18.x', '18.1.0')}]]"
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    found = gathered([ROW], shelf, {"app/Chart.lock": LOCK % digest})
    assert shelf.needs == [Need("app/Chart.yaml", "redis", "https://charts.example/stable", "18.1.0", True)]
    assert not found.warnings


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "''", "7"])
def test_a_lock_of_other_dependencies_is_not_used(digest: str) -> None:
    shelf = Shelf({"redis": REDIS})
    found = gathered([ROW], shelf, {"app/Chart.lock": LOCK % digest})
    assert not shelf.needs[0].exact and shelf.needs[0].version == "18.x"
    assert found.warnings[0].startswith("app/Chart.lock: was made for other dependencies than app/Chart.yaml names")


def test_what_is_vendored_or_local_is_not_asked_for() -> None:
    shelf = Shelf({})
    assert gathered([ROW], shelf, {"app/charts/redis/Chart.yaml": REDIS["Chart.yaml"]}).supplied == {}
    assert gathered([ROW], shelf, {"app/charts/redis-18.1.0.tgz": ""}).supplied == {}
    local = "{name: redis, version: 18.1.0, repository: 'file://../redis'}"
    assert gathered([local], shelf, {"redis/Chart.yaml": REDIS["Chart.yaml"]}).supplied == {}
    assert gathered(["{name: redis, version: 1.0.0}"], shelf).supplied == {} and shelf.needs == []
    assert gathered([ROW], None).supplied == {}


def test_local_charts_and_pulled_ones_bring_theirs() -> None:
    parent = {"Chart.yaml": f"name: parent\nversion: 1.0.0\ndependencies: [{ROW}]\n"}
    shelf = Shelf({"redis": REDIS, "parent": parent})
    local = "{name: local, version: 1.0.0, repository: 'file://../local'}"
    files = {"local/Chart.yaml": f"name: local\nversion: 1.0.0\ndependencies: [{ROW.replace('redis', 'parent')}]\n"}
    found = gathered([local], shelf, files)
    assert [(need.file, need.name) for need in shelf.needs] == [
        ("local/Chart.yaml", "parent"),
        ("Chart.yaml", "redis"),
    ]
    paths = [path for path in found.material.contents() if path.endswith("r.yaml")]
    assert len(paths) == 1 and paths[0].startswith("app/charts/local/charts/parent-")
    assert len(found.supplied) == 2 and len(found.warnings) == 2


def test_circles_end() -> None:
    loop = {"Chart.yaml": f"name: redis\nversion: 18.1.0\ndependencies: [{ROW}]\n"}
    with pytest.raises(Permanent, match="nested more than 10 deep"):
        gathered([ROW], Shelf({"redis": loop}))


def test_one_chart_under_two_names_is_there_once() -> None:
    rows = [ROW.replace("}", f", alias: {alias}}}") for alias in ("cache", "queue")]
    assert len(gathered(rows, Shelf({"redis": REDIS})).supplied) == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ROW.replace("https://charts.example/stable", "s3://bucket"), "'s3://bucket' is no repository that charts"),
        (ROW.replace("https://charts.example/stable", "stable"), "'stable' is no repository that charts"),
        (ROW.replace("18.x", "newest"), "'newest' is neither a version nor a range"),
        (ROW.replace("redis", "../redis"), "cannot be a chart's name"),
        (ROW.replace("redis", "web"), "gives a chart that is called 'redis'"),
    ],
)
def test_what_cannot_be_found_is_named(row: str, said: str) -> None:
    with pytest.raises(Permanent, match=rf"^app/Chart\.yaml: dependency .*{said}"):
        gathered([row], Shelf({"redis": REDIS, "web": REDIS}))
