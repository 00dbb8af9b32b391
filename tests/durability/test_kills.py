"""SIGKILL for every worker process at each step of a sync: the push ends applied, once, and people hear of it once."""

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text

from deploy.demo.world import World
from deploy.localcluster.localcluster import LocalCluster
from tests.kit.world import Team, config_maps, database, kill_tree, rows, start, team, told

OBJECTS = 60
HOOK = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {
        "generateName": "before-",
        "annotations": {"argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/hook-delete-policy": "HookFailed"},
    },
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "example/a"}]}}},
}
MARK = "driftline.io/installation"


VALUES = itertools.count(2)


def _jobs(crew: Team) -> list[Any]:
    return crew.hands.select("batch/v1/jobs", crew.name)


def _written(crew: Team, value: str) -> int:
    """How many objects have a value."""
    found = crew.hands.select("v1/configmaps", crew.name, MARK)
    return sum(each["data"] == {"value": value} for each in found)


def _claimed(crew: Team, value: str, before: int) -> bool:
    return bool(rows(crew.world, "SELECT 1 FROM job WHERE state = 'leased' AND kind = 'fetch'"))


def _planned(crew: Team, value: str, before: int) -> bool:
    running = "SELECT 1 FROM sync WHERE finished_at IS NULL AND plan IS NOT NULL"
    return bool(rows(crew.world, running))


Step = Callable[[Team, str, int], bool]
STEPS: dict[str, Step] = {
    "a worker has claimed the fetch": _claimed,
    "the plan is saved": _planned,
    "the hook is there": lambda crew, value, before: len(_jobs(crew)) > before,
    "some objects are written": lambda crew, value, before: _written(crew, value) > 5,
    "the last object is written": lambda crew, value, before: _written(crew, value) == OBJECTS,
    "a message waits": lambda crew, value, before: not _all_told(crew),
}


@pytest.fixture(scope="module")
def sixty(world: World, cluster: LocalCluster) -> Iterator[Team]:
    """A team whose application has sixty objects and a hook before them."""
    crew = team(world, cluster, "kill")
    crew.push({**config_maps(OBJECTS), "app/hook.json": json.dumps(HOOK)})
    crew.create()
    annotation = {"notifications.argoproj.io/subscribe.on-sync-succeeded.slack": "#ops"}
    patch = json.dumps({"metadata": {"annotations": annotation}})
    body = {"name": crew.name, "patch": patch, "patchType": "merge"}
    world.api.call("PATCH", f"/api/v1/applications/{crew.name}", body)
    crew.wait()
    yield crew
    crew.delete()


@pytest.mark.parametrize("step", STEPS)
def test_kill_all_workers_when(step: str, sixty: Team) -> None:
    crew, world, value = sixty, sixty.world, str(next(VALUES))
    world.eventually(lambda: crew.operation().get("finishedAt") and _all_told(crew), 30, "the sync before is over")
    before = len(_jobs(crew))
    commit = crew.push(config_maps(OBJECTS, value))
    world.eventually(lambda: STEPS[step](crew, value, before) or _deployed(crew, commit), 30, step)
    kill_tree(world, "worker")
    _two_minutes_pass(world)
    start(world, "worker")

    crew.deployed(commit, patience=60)
    crew.wait()
    assert _written(crew, value) == OBJECTS
    assert len(_jobs(crew)) == before + 1, "the hook ran once"
    owned = rows(
        world,
        "SELECT object.state, object.uid FROM object JOIN application ON application.id = application_id "
        "WHERE name = :name",
        name=crew.name,
    )
    assert len(owned) == OBJECTS and all(each["uid"] and each["state"] == "owned" for each in owned)
    world.eventually(lambda: _all_told(crew), 30, "all is told")
    assert told(world, crew.name, "sync failed") == []
    # A worker that dies between sending and noting it sends again, with the same id.
    ids = [each["metadata"] for each in world.slack.messages if f"synced to {commit[:12]}" in str(each["text"])]  # type: ignore[union-attr]
    assert 1 <= len(ids) <= 2 and all(each == ids[0] for each in ids), ids
    assert rows(world, "SELECT 1 FROM job WHERE state = 'quarantined'") == []


def _two_minutes_pass(world: World) -> None:
    """For messages that the dead worker had taken: nobody else sends them while it might still do."""
    with database(world) as store, store.write() as db:
        db.execute(text("UPDATE outbox SET lease_until = 0 WHERE lease_until IS NOT NULL"))


def _all_told(crew: Team) -> bool:
    return not rows(crew.world, "SELECT 1 FROM outbox WHERE state <> 'sent'")


def _deployed(crew: Team, commit: str) -> bool:
    history = crew.world.api.application(crew.name)["status"].get("history") or []
    return bool(history) and bool(history[-1]["revision"] == commit)
