"""A read that fails is not an empty answer: nothing is deleted, the cause is said, and it goes on by itself."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from deploy.demo.gitserving import Fault
from deploy.demo.world import World
from deploy.localcluster.localcluster import LocalCluster
from tests.kit.apiproxy import CUT, ApiProxy
from tests.kit.world import Team, config_map, config_maps, installation, rows, team, told, writes

GIT_FAULTS = {
    "an error 500": Fault(status=500),
    "a broken-off answer": Fault(truncate=True, only="git-upload-pack"),
    "overload": Fault(status=429, headers={"Retry-After": "1"}),
}


def _nothing_deleted(cluster: LocalCluster, mark: int, crew: Team) -> None:
    deleted = [each for each in writes(cluster.audit(mark), crew.name) if each.verb in ("delete", "deletecollection")]
    assert deleted == []


@pytest.mark.parametrize("what", GIT_FAULTS)
def test_a_git_host_with(what: str, world: World, cluster: LocalCluster, crew: Team) -> None:
    crew.push(config_maps(3))
    crew.create()
    crew.wait()
    mark = cluster.audit_mark()
    fault = GIT_FAULTS[what]
    world.git.fault = Fault(fault.status, fault.headers, fault.hang, fault.truncate, only=f"{crew.name}.git/git-upload")
    if fault.status:
        world.git.fault = Fault(fault.status, fault.headers, only=f"{crew.name}.git/info/refs?service=git-upload")
    try:
        commit = crew.push({"app/000.json": None, "app/001.json": config_map("cm-001", value="2")})
        url = world.git.url(crew.name)
        failed = "SELECT message FROM repository WHERE url = :url AND failing_since IS NOT NULL"
        [row] = world.eventually(lambda: rows(world, failed, url=url), 30, "the failure is recorded")
        assert crew.name in row["message"], row["message"]
        alerts = world.eventually(lambda: told(world, crew.name, "unreachable"), 20, "people hear of it")
        assert len(alerts) == 1
        assert world.status(crew.name) == ("Synced", "Healthy"), "what is known stays"
        _nothing_deleted(cluster, mark, crew)
        assert crew.data("cm-000") == {"value": "1"}
    finally:
        world.git.fault = None
    crew.deployed(commit, patience=60)
    assert crew.data("cm-000") is None and crew.data("cm-001") == {"value": "2"}
    world.eventually(lambda: told(world, crew.name, "reachable again"), 20, "people hear that it is over")
    assert len(told(world, crew.name, "unreachable")) == 1
    crew.delete()


@pytest.fixture(scope="module")
def proxied(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, ApiProxy]]:
    """An installation whose cluster is reached through a proxy that can fail."""
    directory = tmp_path_factory.mktemp("proxied")
    proxy = ApiProxy(cluster)
    config = json.loads(cluster.kubeconfig("driftline"))
    config["clusters"][0]["cluster"]["server"] = proxy.url
    path = directory / "kubeconfig"
    path.write_text(json.dumps(config))
    short = {"job_lease": "3", "health_interval": "1", "drift_interval": "3", "poll_interval": "5"}
    try:
        with installation(cluster, directory / "world", kubeconfig=str(path), **short) as found:
            yield found, proxy
    finally:
        proxy.close()


@pytest.mark.parametrize("status", [500, CUT])
def test_a_cluster_that_fails(status: int, proxied: tuple[World, ApiProxy], cluster: LocalCluster) -> None:
    world, proxy = proxied
    crews = [team(world, cluster, "reads") for _ in range(3)]
    for crew in crews:
        crew.push(config_maps(3))
        crew.create()
    for crew in crews:
        crew.wait()
    mark = cluster.audit_mark()
    before = len(told(world, "in-cluster", "unreachable"))
    recovered = len(told(world, "in-cluster", "reachable again"))
    with _failing(proxy, status):
        for crew in crews:
            crew.push({"app/000.json": None})
            world.api.get(f"/api/v1/applications/{crew.name}?refresh=hard")
        world.eventually(lambda: len(told(world, "in-cluster", "unreachable")) > before, 60, "people hear of it")
        time.sleep(3)
        for crew in crews:
            _nothing_deleted(cluster, mark, crew)
        assert len(told(world, "in-cluster", "unreachable")) == before + 1, "one alert, not one an application"
        failed = [each for crew in crews for each in told(world, crew.name, "sync failed")]
        assert failed == [], "\n".join(failed)
    for crew in crews:
        world.eventually(partial(_dropped, crew), 60, "it goes on by itself")
        crew.wait()
    world.eventually(lambda: len(told(world, "in-cluster", "reachable again")) > recovered, 60, "people hear the end")
    assert len(told(world, "in-cluster", "reachable again")) == recovered + 1
    for crew in crews:
        crew.delete()


@contextmanager
def _failing(proxy: ApiProxy, status: int, path: str = "/api", body: object = None) -> Iterator[None]:
    """Every request for such a path (with a `body`: every read) is answered with `status` inside the block."""
    verbs = ("GET",) if body else ("GET", "POST", "PATCH", "DELETE")
    faults = [proxy.fail(verb, path, status, body=body, times=100_000) for verb in verbs]
    proxy.cut()
    try:
        yield
    finally:
        for fault in faults:
            fault.times = 0
        proxy.cut()


def _dropped(crew: Team) -> bool:
    return crew.data("cm-000") is None


def test_a_list_that_fails_or_is_empty_by_mistake(proxied: tuple[World, ApiProxy], cluster: LocalCluster) -> None:
    """The scan's LIST answers nothing at all, and a watch says that all is gone: by name they are there."""
    world, proxy = proxied
    crew = team(world, cluster, "lists")
    crew.push(config_maps(5))
    crew.create()
    crew.wait()
    mark = cluster.audit_mark()
    empty = {"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": "1"}, "items": []}
    with _failing(proxy, 200, r"/api/v1/configmaps\?", empty):
        time.sleep(8)
        assert len(crew.hands.select("v1/configmaps", crew.name, "driftline.io/installation")) == 5
        assert writes(cluster.audit(mark), crew.name) == []
    crew.wait()
    crew.delete()


def test_an_api_server_that_was_away(proxied: tuple[World, ApiProxy], cluster: LocalCluster) -> None:
    world, proxy = proxied
    crew = team(world, cluster, "away")
    crew.push(config_maps(3))
    crew.create()
    crew.wait()
    proxy.silent.set()
    proxy.cut()
    commit = crew.push({"app/001.json": config_map("cm-001", value="2")})
    time.sleep(4)
    proxy.silent.clear()
    proxy.cut()
    crew.deployed(commit, patience=90)
    assert crew.data("cm-001") == {"value": "2"}
    crew.delete()
