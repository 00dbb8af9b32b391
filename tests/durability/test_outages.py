"""Broker, database, and deliveries that come twice or in the wrong order: every push ends applied."""

import fcntl
import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from deploy.demo.world import World
from deploy.localcluster.localcluster import LocalCluster
from driftline.adapters.settings import read_settings
from tests.kit.cluster import random_name
from tests.kit.databases import PostgresServer
from tests.kit.payloads import sign
from tests.kit.world import Team, config_map, kill_tree, rows, start_broker, team


@contextmanager
def unannounced(world: World) -> Iterator[None]:
    """Pushes inside the block send no webhook."""
    hook, world.git.webhook = world.git.webhook, None
    try:
        yield
    finally:
        world.git.webhook = hook


def deliver(world: World, crew: Team, commit: str, delivery_id: str = "") -> httpx.Response:
    """Send GitHub's webhook of a push."""
    body = json.dumps(world.git.push_payload(crew.name, "refs/heads/main", commit, commit)).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": delivery_id or random_name("delivery"),
    }
    signed = sign("github", headers, body, world.secret)
    return httpx.post(f"{world.url}/api/webhook", content=body, headers=signed, timeout=30, trust_env=False)


def test_fifty_identical_deliveries_are_one(world: World, crew: Team) -> None:
    first = crew.push({"app/cm.json": config_map("a", v="1")})
    crew.create()
    crew.deployed(first)
    with unannounced(world):
        commit = crew.push({"app/cm.json": config_map("a", v="2")})
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: deliver(world, crew, commit, f"same-{crew.name}"), range(50)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    kept = rows(world, "SELECT repeats FROM delivery WHERE delivery_id = :id", id=f"same-{crew.name}")
    assert [each["repeats"] for each in kept] == [49]
    crew.deployed(commit)
    crew.delete()


def test_pushes_that_are_announced_in_the_wrong_order(world: World, crew: Team) -> None:
    first = crew.push({"app/cm.json": config_map("a", v="1")})
    crew.create()
    crew.deployed(first)
    with unannounced(world):
        older = crew.push({"app/cm.json": config_map("a", v="2")})
        newer = crew.push({"app/cm.json": config_map("a", v="3")})
    assert deliver(world, crew, newer).status_code == 202
    crew.deployed(newer)
    assert deliver(world, crew, older).status_code == 202
    time.sleep(1)
    crew.wait_for(newer)
    assert crew.data("a") == {"v": "3"}
    crew.delete()


@pytest.mark.covers("WH-07")
def test_a_burst_of_pushes_ends_with_the_last(world: World, crew: Team) -> None:
    """Each push but the first meets the job of the one before it."""
    crew.push({"app/cm.json": config_map("a", v="0")})
    crew.create()
    crew.wait()
    for number in range(1, 16):
        last = crew.push({"app/cm.json": config_map("a", v=str(number))})
    crew.deployed(last)
    assert crew.data("a") == {"v": "15"}
    crew.delete()


def test_a_webhook_while_the_broker_is_away(world: World, crew: Team) -> None:
    crew.push({"app/cm.json": config_map("a", v="1")})
    crew.create()
    crew.wait()
    kill_tree(world, "broker")
    with unannounced(world):
        commit = crew.push({"app/cm.json": config_map("a", v="2")})
    began = time.monotonic()
    assert deliver(world, crew, commit).status_code == 202
    assert time.monotonic() - began < 3
    start_broker(world)
    crew.deployed(commit, patience=40)
    crew.delete()


def test_the_broker_killed_and_flushed_in_a_burst(world: World, cluster: LocalCluster) -> None:
    crews = [team(world, cluster, "burst") for _ in range(4)]
    for crew in crews:
        crew.push({"app/cm.json": config_map("a", v="0")})
        crew.create()
    for crew in crews:
        crew.wait()
    last = {}
    for number in range(1, 5):
        for crew in crews:
            last[crew.name] = crew.push({"app/cm.json": config_map("a", v=str(number))})
        if number == 2:
            kill_tree(world, "broker")
            start_broker(world)
        if number == 3:
            _flush(world)
    _flush(world)
    for crew in crews:
        crew.deployed(last[crew.name], patience=60)
        assert crew.data("a") == {"v": "4"}
    for crew in crews:
        crew.delete()


def _flush(world: World) -> None:
    import redis

    client = redis.Redis(unix_socket_path=str(read_settings(world.env).broker_socket))
    world.eventually(lambda: _flushed(client), 20, "the broker answers")
    client.close()


def _flushed(client: object) -> bool:
    import redis

    try:
        return bool(client.flushall())  # type: ignore[attr-defined]
    except redis.RedisError:
        return False


def test_the_database_away_for_some_seconds(request: pytest.FixtureRequest, world: World, crew: Team) -> None:
    crew.push({"app/cm.json": config_map("a", v="1")})
    crew.create()
    crew.wait()
    before = rows(world, "SELECT count(*) AS n FROM delivery")[0]["n"]
    with unannounced(world):
        commit = crew.push({"app/cm.json": config_map("a", v="2")})
    with _database_away(request, world):
        answer = deliver(world, crew, commit, f"refused-{crew.name}")
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) > 0
    world.eventually(lambda: world.api.get("/readyz") is not None, 30, "the web process is well again")
    assert rows(world, "SELECT count(*) AS n FROM delivery")[0]["n"] == before, "nothing of it was kept"
    assert world.eventually(lambda: deliver(world, crew, commit, f"refused-{crew.name}").status_code == 202, 30, "202")
    crew.deployed(commit, patience=60)
    for name in ("web", "worker", "beat", "watch"):
        assert world.running[name].poll() is None
    crew.hands.merge_patch("v1/configmaps", crew.name, "a", {"data": {"v": "by hand"}})
    world.eventually(lambda: crew.data("a") == {"v": "2"}, 40, "the watch sees and the worker repairs")
    crew.delete()


@contextmanager
def _database_away(request: pytest.FixtureRequest, world: World) -> Iterator[None]:
    """PostgreSQL stopped as by a crash; of SQLite the lock held by somebody who does not let go."""
    if world.database_url:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        server.halt()
        try:
            yield
            time.sleep(2)
        finally:
            server.resume()
        return
    path = read_settings(world.env).database.removeprefix("sqlite:///")
    with open(f"{path}.lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
            time.sleep(2)
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)


def test_a_worker_that_stands_still_longer_than_its_lease(world: World, crew: Team) -> None:
    """What it wakes up to is somebody else's: it writes nothing of its own any more, and the push is applied."""
    import psutil  # type: ignore[import-untyped]

    crew.push({"app/cm.json": config_map("a", v="1")})
    crew.create()
    crew.wait()
    root = psutil.Process(world.running["worker"].pid)
    family = [root, *root.children(recursive=True)]
    commit = crew.push({"app/cm.json": config_map("a", v="2")})
    for process in family:
        process.send_signal(signal.SIGSTOP)
    time.sleep(7)
    for process in family:
        process.send_signal(signal.SIGCONT)
    crew.deployed(commit, patience=60)
    assert crew.data("a") == {"v": "2"}
    assert rows(world, "SELECT 1 FROM job WHERE state = 'quarantined'") == []
    crew.delete()
