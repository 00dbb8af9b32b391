"""Hooks of a sync: each runs once, whatever the sync learns on its way."""

from typing import Any

import pytest

from driftline.adapters.store import clusters, hooks
from driftline.flow import looking, observe, operate
from driftline.model.errors import Permanent
from driftline.model.objects import Key, Object
from tests.flow.installation import Installation, config, hook, manifests
from tests.kit.apiproxy import ApiProxy
from tests.kit.cluster import eventually
from tests.kit.databases import count_statements


def _unnamed(prefix: str, phase: str) -> Object:
    """A hook whose every run is an object of its own, and stays."""
    body = hook(prefix.rstrip("-"), phase, "BeforeHookCreation")
    del body["metadata"]["name"]
    body["metadata"]["generateName"] = prefix
    return body


def _runs(here: Installation) -> list[str]:
    """The hooks that ran, by the beginnings of their names."""
    found: list[Any] = here.hands.select("batch/v1/jobs", here.namespace)
    return sorted(each["metadata"]["name"].partition("-")[0] for each in found)


@pytest.mark.covers("HOOK-01", "HOOK-03")
def test_a_hook_runs_once_though_an_existing_object_is_taken_over(here: Installation) -> None:
    here.hands.create("v1/configmaps", here.namespace, {"metadata": {"name": "old"}, "data": {"a": "by hand"}})
    hooks = [_unnamed("before-", "PreSync"), _unnamed("after-", "PostSync"), _unnamed("rescue-", "SyncFail")]
    here.push({"app/all.yaml": manifests(config("old", a="git"), config("new", b="git"), *hooks)})
    name = here.declare()

    def ended() -> bool:
        here.hurry(1)
        return here.phases(name) == [("git", "Succeeded")]

    eventually(ended, 30)
    assert _runs(here) == ["after", "before"]
    [sync] = here.syncs(name)
    assert sync.retry_count == 0, "learning is no failure"
    results = {each["key"].rpartition("/")[2]: each["action"] for each in sync.results["objects"]}
    assert results == {"old": "adopted", "new": "created"}
    old, new = here.config("old"), here.config("new")
    assert old is not None and old["data"] == {"a": "git"}
    assert new is not None and new["data"] == {"b": "git"}
    assert here.status(name) == ("Synced", "Healthy")
    here.look(name, fresh=True)
    here.settle()
    assert here.drift(name) == [] and len(here.syncs(name)) == 1


@pytest.mark.covers("HOOK-04")
def test_hooks_run_once_around_a_plan_that_waits_for_a_person(here: Installation) -> None:
    asking = config("two", a="1")
    asking["metadata"]["annotations"] = {"argocd.argoproj.io/sync-options": "Prune=confirm"}
    here.push({"app/all.yaml": manifests(config("one", a="1"), asking)})
    name = here.declare()
    here.settle()
    before = _unnamed("before-", "PreSync")
    before["metadata"]["annotations"]["argocd.argoproj.io/hook-delete-policy"] = "HookSucceeded"
    here.push({"app/all.yaml": manifests(config("one", a="2"), before, _unnamed("after-", "PostSync"))})
    here.fetch()

    def held() -> bool:
        here.hurry(1)
        return here.phases(name)[0] == ("git", "Held")

    eventually(held, 30)
    kept = [each["metadata"].get("finalizers") for each in here.hands.select("batch/v1/jobs", here.namespace)]
    assert _runs(here) == ["after", "before"] and not any(kept), "nobody is kept waiting by hooks that have ended"
    operate.confirm_deletion(here.edges, name, "dana")
    here.hurry(3)
    assert here.phases(name)[0] == ("git", "Succeeded")
    assert here.config("two") is None
    eventually(lambda: _runs(here) == ["after"], 10)


def test_a_hook_that_ends_is_followed_by_the_watch_and_wakes_its_sync(here: Installation) -> None:
    slow = hook("before", "PreSync")
    slow["spec"]["suspend"] = True
    here.push({"app/all.yaml": manifests(slow, config("one", a="1"))})
    name = here.declare()
    here.settle()
    key = Key("batch", "Job", here.namespace, "before")
    with here.store.read() as db:
        [row] = clusters.everything(db)
        assert hooks.awaited(db, row.id) == {key.id: here.app(name).id}, "this is what a watch follows"
    running = here.hands.get("batch/v1/jobs", here.namespace, "before")
    observe.observe(here.edges, row, [observe.Seen(key, running)])
    assert here.settle() == 0, "a hook that runs wakes nobody"
    here.hands.merge_patch("batch/v1/jobs", here.namespace, "before", {"spec": {"suspend": False}})

    def done() -> Object | None:
        found = here.hands.get("batch/v1/jobs", here.namespace, "before")
        return found if found and (found.get("status") or {}).get("succeeded") else None

    observe.observe(here.edges, row, [observe.Seen(key, eventually(done, 20))])
    here.settle()
    assert here.phases(name) == [("git", "Succeeded")] and here.config("one") is not None
    with here.store.read() as db:
        assert hooks.awaited(db, row.id) == {}


def test_a_sync_that_ends_without_a_look_lets_go_of_its_hooks(
    small: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = small
    slow = hook("slow", "PreSync")
    slow["spec"]["suspend"] = True
    here.push({"app/all.yaml": manifests(slow, config("one", a="1"))})
    name = here.declare()
    here.settle()
    assert here.hands.get("batch/v1/jobs", here.namespace, "slow")["metadata"]["finalizers"]  # type: ignore[index]

    def unreadable(*_: object) -> None:
        raise Permanent("the stored render cannot be opened")

    monkeypatch.setattr(looking, "render", unreadable)
    here.look(name)
    with count_statements(here.edges.store.engine) as seen:
        here.settle()
    assert here.phases(name) == [("git", "Error")]
    left = here.hands.get("batch/v1/jobs", here.namespace, "slow")
    assert left is not None and not left["metadata"].get("finalizers"), "it may go on, and nothing of ours keeps it"
    writes = [sql.split()[1] for sql in seen.sql if sql.startswith("UPDATE")]
    assert writes[-3:] == ["application", "sync", "job"], "as everywhere, a job's row is locked last"


def test_a_hook_that_the_api_server_refuses_to_release_does_not_keep_the_others(
    distant: Installation, proxy: ApiProxy
) -> None:
    here, names = distant, ("first", "second", "third")
    hooks_of = [hook(name, "PreSync", "BeforeHookCreation") for name in names]
    here.push({"app/all.yaml": manifests(*hooks_of, config("one", a="1"))})
    refusal = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "a policy says no"}
    fault = proxy.fail("PATCH", "/jobs/(first|second)", 403, body=refusal, times=100)
    name = here.declare()

    def done() -> bool:
        here.hurry(1)
        return here.phases(name)[:1] == [("git", "Succeeded")]

    eventually(done, 30)
    assert fault.times < 100, "it was refused"
    bodies = [here.hands.get("batch/v1/jobs", here.namespace, each) for each in names]
    kept = [bool(each and each["metadata"].get("finalizers")) for each in bodies]
    assert kept == [True, True, False]
    for each in names[:2]:
        here.hands.merge_patch("batch/v1/jobs", here.namespace, each, {"metadata": {"finalizers": None}})
