"""Hooks: before, after health, when it fails, and when a person stops it."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from deploy.demo.world import World
from tests.kit.world import Team, config_map


def _job(kind: str, name: str = "", prefix: str = "", holds: bool = False, **annotations: Any) -> str:
    """A hook. One that `holds` has no Pod that could finish it: it is suspended."""
    named = {"generateName": prefix} if prefix else {"name": name or kind.lower()}
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.example/job:1"}]}
    return json.dumps(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {**named, "annotations": {"argocd.argoproj.io/hook": kind, **annotations}},
            "spec": {"backoffLimit": 0, "suspend": holds, "template": {"spec": pod}},
        }
    )


KEEP: dict[str, Any] = {"argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation"}


def _jobs(crew: Team) -> list[Any]:
    return crew.hands.select("batch/v1/jobs", crew.name)


def _fail(crew: Team, name: str) -> None:
    """Let a suspended Job fail, as its controller would."""
    now = "2026-01-01T00:00:00Z"
    reasons = [
        {"type": "FailureTarget", "status": "True", "reason": "PodFailed", "lastTransitionTime": now},
        {
            "type": "Failed",
            "status": "True",
            "reason": "PodFailed",
            "message": "exit code 3",
            "lastTransitionTime": now,
        },
    ]
    status = {"status": {"startTime": now, "conditions": reasons}}
    crew.hands.merge_patch("batch/v1/jobs", crew.name, name, status, sub="status")


@pytest.mark.covers("HOOK-01")
def test_before_and_after(world: World, crew: Team) -> None:
    first = crew.push(
        {
            "app/cm.json": config_map("settings", a="1"),
            "app/before.json": _job("PreSync", prefix="migrate-", **KEEP),
            "app/after.json": _job("PostSync", "smoke", **KEEP),
        }
    )
    crew.create()
    crew.deployed(first)
    made = {each["metadata"]["name"]: each["metadata"]["creationTimestamp"] for each in _jobs(crew)}
    [before] = [name for name in made if name.startswith("migrate-")]
    assert before.startswith(f"migrate-{first[:7]}-presync-"), before
    settings = crew.hands.get("v1/configmaps", crew.name, "settings")
    assert settings is not None
    assert made[before] <= settings["metadata"]["creationTimestamp"] <= made["smoke"]
    results = crew.operation()["syncResult"]["resources"]
    assert {(each["hookType"], each["hookPhase"]) for each in results if "hookType" in each} == {
        ("PreSync", "Succeeded"),
        ("PostSync", "Succeeded"),
    }
    crew.delete()


def test_a_failing_presync_stops_the_sync(world: World, crew: Team) -> None:
    crew.push({"app/cm.json": config_map("settings", a="1")})
    crew.create(syncPolicy={"automated": {}, "syncOptions": ["CreateNamespace=true"], "retry": {"limit": 0}})
    crew.wait()
    crew.push(
        {
            "app/cm.json": config_map("settings", a="2"),
            "app/before.json": _job("PreSync", "migrate", holds=True, **KEEP),
            "app/rescue.json": _job("SyncFail", "rescue", **KEEP),
        }
    )
    world.eventually(lambda: [each for each in _jobs(crew) if each["metadata"]["name"] == "migrate"], 30, "it runs")
    assert crew.data("settings") == {"a": "1"}
    _fail(crew, "migrate")
    world.eventually(lambda: crew.operation().get("phase") == "Failed", 60, "the sync fails")
    assert crew.data("settings") == {"a": "1"}, "nothing after the failed hook was written"
    assert "migrate" in crew.operation()["message"], crew.operation()["message"]
    assert [each for each in _jobs(crew) if each["metadata"]["name"] == "rescue"], "the SyncFail hook ran"
    crew.delete()


def test_hooks_that_end_are_noticed_at_once(world: World, crew: Team) -> None:
    names = ("first", "second", "third")
    waves: list[dict[str, Any]] = [{**KEEP, "argocd.argoproj.io/sync-wave": str(n)} for n in range(3)]
    hooks = {f"app/{name}.json": _job("PreSync", name, **waves[n]) for n, name in enumerate(names)}
    crew.push({"app/cm.json": config_map("settings", a="1"), **hooks})
    crew.create()
    crew.wait()
    assert {each["metadata"]["name"] for each in _jobs(crew)} == set(names)
    operation = crew.operation()
    began, ended = (datetime.fromisoformat(operation[word]) for word in ("startedAt", "finishedAt"))
    # By looks every 5 s alone, three hooks one after the other take 15 s.
    assert ended - began < timedelta(seconds=10), ended - began
    crew.delete()


def test_terminate_deletes_running_hooks(world: World, crew: Team) -> None:
    crew.push({"app/cm.json": config_map("settings", a="1"), "app/before.json": _job("PreSync", "slow", holds=True)})
    crew.create(syncPolicy={"syncOptions": ["CreateNamespace=true"]})
    world.eventually(lambda: crew.world.status(crew.name)[0] == "OutOfSync", 30, "it is compared")
    crew.sync()
    world.eventually(lambda: _jobs(crew), 30, "the hook runs")
    world.api.call("DELETE", f"/api/v1/applications/{crew.name}/operation")
    world.eventually(lambda: crew.operation().get("phase") == "Failed", 30, "the operation ends")
    assert "terminated" in crew.operation()["message"].lower()
    world.eventually(lambda: not _jobs(crew), 30, "the running hook is deleted")
    assert crew.data("settings") is None
    crew.delete()
