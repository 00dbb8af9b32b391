"""Deletions that a person has to confirm, and hooks around the deletion of an application."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from driftline.adapters.store import jobs
from driftline.adapters.store.columns import db_now
from driftline.adapters.store.tables import job
from driftline.flow import declare, inspect, operate, recording
from driftline.model.errors import Permanent
from driftline.model.objects import Object
from driftline.sync.confirmation import DELETION_APPROVED, stamp
from tests.flow.installation import Installation, config, hook, manifests
from tests.kit.apiproxy import ApiProxy
from tests.kit.cluster import eventually
from tests.kit.databases import count_statements


def _asking(name: str, option: str) -> Object:
    """A ConfigMap that asks for a person before it goes."""
    body = config(name, a="1")
    body["metadata"]["annotations"] = {"argocd.argoproj.io/sync-options": option}
    return body


def _gone(here: Installation, name: str) -> bool:
    here.hurry(1)
    return here.find(name) is None


def _held(here: Installation) -> str:
    """An application whose sync waits for the confirmation of a prune."""
    here.push({"app/all.yaml": manifests(config("one", a="1"), _asking("two", "Prune=confirm"))})
    name = here.declare()
    here.settle()
    here.push({"app/all.yaml": manifests(config("one", a="2"))})
    here.fetch()
    here.settle()
    return name


@pytest.mark.covers("OPT-02", "ANN-10")
def test_what_asks_for_confirmation_is_pruned_once_a_person_confirms(here: Installation) -> None:
    name = _held(here)
    [sync] = here.syncs(name)[:1]
    assert sync.phase == "Held"
    assert sync.message.startswith("waiting for pruning confirmation of ConfigMap/two: Prune=confirm"), sync.message
    one = here.config("one")
    assert one is not None and one["data"] == {"a": "2"}, "the rest of the plan has run"
    nodes = {node.key.name: node.confirm for node in inspect.tree(here.edges, name)}
    assert nodes == {"one": False, "two": True}
    here.look(name)
    here.hurry(2)
    assert here.alerts("on-plan-held") == [("on-plan-held", f"app:{name}", True)], "people are asked once"
    assert here.config("two") is not None

    operate.confirm_deletion(here.edges, name, "dana")
    here.hurry(3)
    assert here.config("two") is None
    assert here.phases(name)[0] == ("git", "Succeeded")
    assert here.status(name) == ("Synced", "Healthy")
    assert here.alerts("on-plan-held") == [("on-plan-held", f"app:{name}", False)]
    with pytest.raises(Permanent, match="nothing waits for a confirmation"):
        operate.confirm_deletion(here.edges, name, "dana")


@pytest.mark.parametrize("age", [timedelta(minutes=-10), timedelta(seconds=1)], ids=["old", "new"])
def test_the_annotation_counts_if_it_is_younger_than_the_operation(small: Installation, age: timedelta) -> None:
    here = small
    name = _held(here)
    document = here.app(name).document
    metadata: Any = document["metadata"]
    said = stamp(here.clock() + age)
    declared = {**document, "metadata": {**metadata, "annotations": {DELETION_APPROVED: said}}}
    declare.declare(here.edges, [declared], "dana", upsert=True)
    here.hurry(4)
    assert (here.config("two") is None) is (age > timedelta())


@pytest.mark.covers("OPT-03")
def test_an_application_whose_object_asks_for_it_goes_once_a_person_confirms(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"), _asking("two", "Delete=confirm"))})
    name = here.declare()
    here.settle()
    operate.remove(here.edges, name, "dana", cascade=True)
    here.hurry(3)
    assert here.config("one") is not None and here.config("two") is not None, "nothing goes before the word is given"
    assert here.app(name).health_message.startswith("waiting for deletion confirmation of ConfigMap/two")
    assert here.alerts("on-plan-held") == [("on-plan-held", f"app:{name}", True)]
    operate.confirm_deletion(here.edges, name, "dana")
    eventually(lambda: _gone(here, name), 15)
    assert here.config("one") is None and here.config("two") is None
    assert here.alerts("on-plan-held") == [("on-plan-held", f"app:{name}", False)]
    [asked, over] = [each.message["message"]["text"] for each in here.waiting()]
    assert f"confirm it: driftline app confirm-deletion {name}" in asked
    assert "How it ended: a person confirmed the deletion." in over


def test_a_deletion_is_confirmed_by_the_declaration_and_changed_by_nothing_else(small: Installation) -> None:
    here = small
    here.push({"app/all.yaml": manifests(_asking("two", "Delete=confirm"))})
    name = here.declare()
    here.settle()
    operate.remove(here.edges, name, "dana", cascade=True)
    here.hurry(2)
    document = here.app(name).document
    with pytest.raises(Permanent, match="is being deleted"):
        declare.declare(
            here.edges,
            [{**document, "spec": {**document["spec"], "info": [{"name": "a", "value": "b"}]}}],
            "dana",
            upsert=True,
        )
    said = {DELETION_APPROVED: stamp(here.clock() + timedelta(seconds=1))}
    declared = {**document, "metadata": {**document["metadata"], "annotations": said}}
    declare.declare(here.edges, [declared], "dana", upsert=True)
    eventually(lambda: _gone(here, name), 15)


def _job(here: Installation, name: str) -> Object | None:
    return here.hands.get("batch/v1/jobs", here.namespace, name)


@pytest.mark.covers("HOOK-06")
def test_hooks_run_before_and_after_the_objects_go(here: Installation) -> None:
    before, after = hook("before", "PreDelete"), hook("after", "PostDelete", "HookFailed")
    before["metadata"]["annotations"].pop("argocd.argoproj.io/hook-delete-policy")
    before["spec"]["suspend"] = True
    here.push({"app/all.yaml": manifests(config("one", a="1"), before, after)})
    name = here.declare()
    here.settle()
    assert _job(here, "before") is None and _job(here, "after") is None, "a sync runs no hook of a deletion"
    assert here.status(name) == ("Synced", "Healthy")
    operate.remove(here.edges, name, "dana", cascade=True)
    here.hurry(2)
    assert _job(here, "before") is not None and here.config("one") is not None
    assert here.app(name).health_message == "waiting for completion of hook batch/Job/before"
    here.hands.merge_patch("batch/v1/jobs", here.namespace, "before", {"spec": {"suspend": False}})
    eventually(lambda: _gone(here, name), 30)
    assert here.config("one") is None
    eventually(lambda: _job(here, "before") is None, 10)
    left = _job(here, "after")
    assert left is not None and not left["metadata"].get("finalizers"), "its policy keeps it; we let go of it"


def _fail(here: Installation, name: str) -> None:
    now = "2026-01-01T00:00:00Z"
    words = {"status": "True", "reason": "PodFailed", "message": "exit code 3", "lastTransitionTime": now}
    status = {"startTime": now, "conditions": [{"type": "FailureTarget", **words}, {"type": "Failed", **words}]}
    here.hands.merge_patch("batch/v1/jobs", here.namespace, name, {"status": status}, sub="status")


def test_a_hook_that_fails_keeps_the_application_and_can_be_tried_again(here: Installation) -> None:
    before = hook("before", "PreDelete")
    before["spec"]["suspend"] = True
    here.push({"app/all.yaml": manifests(config("one", a="1"), before)})
    name = here.declare()
    here.settle()
    operate.remove(here.edges, name, "dana", cascade=True)
    here.hurry(1)
    _fail(here, "before")
    here.make_due()
    here.settle()
    message = here.conditions(name)["DeletionError"]
    assert "the PreDelete hook failed" in message and "exit code 3" in message
    assert here.config("one") is not None
    eventually(lambda: _job(here, "before") is None, 10)
    here.settle()
    assert _job(here, "before") is None, "not at once: it has side effects"

    operate.remove(here.edges, name, "dana", cascade=True)
    here.settle()
    assert _job(here, "before") is not None, "a person who asks again tries again"
    assert "DeletionError" not in here.conditions(name)
    here.hands.merge_patch("batch/v1/jobs", here.namespace, "before", {"spec": {"suspend": False}})
    eventually(lambda: _gone(here, name), 30)
    assert here.config("one") is None


def test_letting_the_objects_be_runs_no_hook(small: Installation) -> None:
    here = small
    here.push({"app/all.yaml": manifests(config("one", a="1"), hook("before", "PreDelete"))})
    name = here.declare()
    here.settle()
    operate.remove(here.edges, name, "dana", cascade=False)
    here.settle()
    assert here.find(name) is None and here.config("one") is not None and _job(here, "before") is None


@pytest.mark.covers("HOOK-07")
def test_hooks_of_a_chart_run_at_the_deletion(small: Installation) -> None:
    here = small
    job = hook("before", "PreDelete")
    job["metadata"]["annotations"] = {"helm.sh/hook": "pre-delete", "helm.sh/hook-weight": "-5"}
    job["spec"]["suspend"] = True
    here.push({"app/all.yaml": manifests(config("one", a="1"), job)})
    name = here.declare()
    here.settle()
    operate.remove(here.edges, name, "dana", cascade=True)
    here.hurry(1)
    assert _job(here, "before") is not None and here.config("one") is not None
    here.hands.merge_patch("batch/v1/jobs", here.namespace, "before", {"spec": {"suspend": False}})
    eventually(lambda: _gone(here, name), 30)


def _unfollowed(here: Installation, name: str) -> bool:
    """Whether a hook is there, and nothing of ours keeps it."""
    found = _job(here, name)
    return found is not None and not found["metadata"].get("finalizers")


def _running(here: Installation, phase: str, *others: Object) -> str:
    """An application with a hook that does not end by itself."""
    slow = hook("slow", phase)
    slow["spec"]["suspend"] = True
    here.push({"app/all.yaml": manifests(slow, *others)})
    name = here.declare()
    here.settle()
    return name


def test_hooks_that_run_are_let_go_of_when_their_application_is_forgotten(small: Installation) -> None:
    here = small
    name = _running(here, "PreSync", config("one", a="1"))
    assert _job(here, "slow") is not None and not _unfollowed(here, "slow")
    operate.remove(here.edges, name, "dana", cascade=False)
    here.settle()
    assert here.find(name) is None and _unfollowed(here, "slow")


def test_hooks_of_a_deletion_are_let_go_of_when_it_is_given_up(small: Installation) -> None:
    here = small
    name = _running(here, "PreDelete", config("one", a="1"))
    operate.remove(here.edges, name, "dana", cascade=True)
    here.settle()
    assert _job(here, "slow") is not None and not _unfollowed(here, "slow")
    operate.remove(here.edges, name, "dana", cascade=False)
    here.settle()
    assert here.find(name) is None and _unfollowed(here, "slow") and here.config("one") is not None


def test_hooks_go_with_an_application_that_owns_nothing_else(small: Installation) -> None:
    here = small
    name = _running(here, "PreSync")
    operate.request_sync(here.edges, name, operate.SyncRequest(), "dana")
    here.settle()
    assert _job(here, "slow") is not None
    operate.remove(here.edges, name, "dana", cascade=True)
    eventually(lambda: _gone(here, name), 10)
    eventually(lambda: _job(here, "slow") is None, 10)


def test_a_hook_whose_worker_died_before_it_was_noted_goes_with_its_application(
    small: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = small

    def dies(*_: object) -> None:
        raise jobs.LeaseLost("killed")

    with monkeypatch.context() as patch:
        patch.setattr(recording, "save_waiting", dies)
        name = _running(here, "PreSync", config("one", a="1"))
    assert _job(here, "slow") is not None and not here.syncs(name)[0].results["hooks"]
    with here.store.write() as db:
        db.execute(update(job).values(lease_until=db_now()))
        jobs.takeover(db)
    operate.remove(here.edges, name, "dana", cascade=True)
    eventually(lambda: _gone(here, name), 10)
    eventually(lambda: _job(here, "slow") is None, 10)


def test_nothing_goes_while_an_object_that_asks_for_confirmation_cannot_be_read(
    distant: Installation, proxy: ApiProxy
) -> None:
    here = distant
    secret = {**_asking("two", "Delete=confirm"), "kind": "Secret"}
    del secret["data"]
    here.push({"app/all.yaml": manifests(config("one", a="1"), secret)})
    name = here.declare()
    here.settle()
    assert here.status(name) == ("Synced", "Healthy")
    refused = proxy.fail("GET", "/secrets", 403, times=10**6)
    operate.remove(here.edges, name, "dana", cascade=True)
    here.hurry(2)
    assert here.config("one") is not None
    assert here.app(name).health_message.startswith("waiting for deletion confirmation of Secret/two")
    operate.confirm_deletion(here.edges, name, "dana")
    here.hurry(2)
    assert here.config("one") is None, "the word is given, and what can go goes"
    assert "DeletionError" in here.conditions(name)
    refused.times = 0
    eventually(lambda: _gone(here, name), 15)


def test_a_deletion_ends_in_the_order_in_which_all_lock_rows(small: Installation) -> None:
    here = small
    here.push({"app/all.yaml": manifests(config("one", a="1"), _asking("two", "Delete=confirm"))})
    name = here.declare()
    here.settle()
    operate.remove(here.edges, name, "dana", cascade=True)
    here.settle()
    assert here.alerts("on-plan-held") == [("on-plan-held", f"app:{name}", True)]
    operate.remove(here.edges, name, "dana", cascade=False)
    with count_statements(here.edges.store.engine) as seen:
        here.settle()
    assert here.alerts("on-plan-held") == [("on-plan-held", f"app:{name}", False)]
    last = next(at for at, sql in enumerate(seen.sql) if sql.startswith("DELETE FROM application"))
    alerts = [at for at, sql in enumerate(seen.sql) if sql.startswith(("INSERT INTO alert", "UPDATE alert"))]
    assert alerts and last < min(alerts), seen.sql
