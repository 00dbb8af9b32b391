"""What people do to a sync and to an application: stop it, let it try again, go back, delete; and the newest commit."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, update

from driftline.adapters.store import live
from driftline.adapters.store.live import Sighting
from driftline.adapters.store.tables import sync
from driftline.flow import inspect, operate
from driftline.flow.operate import SyncRequest
from driftline.model.errors import Permanent
from driftline.model.health import HealthStatus
from tests.flow.installation import Installation, config, deployment, hook, manifests
from tests.kit.cluster import eventually, random_name


def _waiting_for_an_image(here: Installation, image: str = "web:1") -> str:
    """A rollout in wave 0 that the next wave waits for."""
    later = config("late", of=image)
    later["metadata"]["annotations"] = {"argocd.argoproj.io/sync-wave": "1"}
    slow = deployment("web", image)
    # No node has it, so the Pods stay pending.
    slow["spec"]["template"]["spec"]["nodeSelector"] = {"nobody": "has-this"}
    return manifests(slow, later)


def test_a_rollout_that_ends_while_its_wave_is_written_is_not_waited_for(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.push({"app/all.yaml": _waiting_for_an_image(here)})
    answers = live.upsert_later

    def after_the_watch(db: Connection, cluster_id: int, seen: Sequence[Sighting], at: datetime) -> set[str]:
        newer = [replace(each, resource_version="9" * 12, health_status=HealthStatus.HEALTHY) for each in seen]
        live.upsert_many(db, cluster_id, newer, at)
        return answers(db, cluster_id, seen, at)

    monkeypatch.setattr(live, "upsert_later", after_the_watch)
    name = here.declare()
    here.settle()
    assert here.phases(name) == [("git", "Succeeded")], "the next wave followed at once"


def test_a_newer_commit_takes_over_while_an_older_one_waits(here: Installation) -> None:
    here.push({"app/all.yaml": _waiting_for_an_image(here)})
    name = here.declare()
    here.settle()
    assert here.phases(name) == [("git", "Running")]
    assert "waiting for healthy state" in here.syncs(name)[0].message
    here.push({"app/all.yaml": manifests(deployment("web"), config("late", of="two"))})
    here.fetch()

    def arrived() -> bool:
        here.hurry(2)
        return here.phases(name) == [("git", "Succeeded"), ("git", "Superseded")]

    eventually(arrived, 30)
    late = here.config("late")
    assert late is not None and late["data"] == {"of": "two"}


def test_what_a_person_asked_for_is_not_dropped_for_a_newer_commit(here: Installation) -> None:
    here.push({"app/all.yaml": _waiting_for_an_image(here)})
    name = here.declare(automated=None)
    here.settle()
    operate.request_sync(here.edges, name, SyncRequest(), "dana")
    here.settle()
    here.push({"app/other.yaml": manifests(config("other", a="1"))})
    here.fetch()
    here.hurry(2)
    assert here.phases(name) == [("manual", "Running")]


def test_terminate_stops_before_the_next_wave(here: Installation) -> None:
    here.push({"app/all.yaml": _waiting_for_an_image(here)})
    name = here.declare()
    here.settle()
    operate.terminate(here.edges, name, "dana")
    here.settle()
    assert here.phases(name) == [("git", "Failed")]
    assert "terminated" in here.syncs(name)[0].message.lower()
    assert here.alerts("on-sync-failed") == [], "nobody is alarmed by what a person stopped"
    assert here.config("late") is None
    with pytest.raises(Permanent, match="no operation is in progress"):
        operate.terminate(here.edges, name, "dana")


def test_the_plan_of_one_application_does_not_run_as_the_plan_of_another(small: Installation) -> None:
    here = small
    slow = hook("before", "PreSync")
    slow["spec"]["suspend"] = True
    here.push({"app/all.yaml": manifests(slow, config("one", a="1")), "other/all.yaml": _waiting_for_an_image(here)})
    first, second = here.declare(), here.declare(path="other")
    here.settle()
    [theirs], [ours] = here.syncs(first), here.syncs(second)
    assert theirs.plan and ours.plan
    with here.store.write() as db:
        change = update(sync).where(sync.c.id == ours.id)
        db.execute(change.values(plan=theirs.plan, plan_digest=theirs.plan_digest))
    here.look(second)
    here.settle()
    [failed] = here.syncs(second)
    assert failed.phase == "Error" and "belongs to another row" in failed.message


def test_terminate_takes_a_running_hook_away(here: Installation) -> None:
    slow = hook("before", "PreSync")
    slow["spec"]["template"]["spec"]["nodeSelector"] = {"nobody": "has-this"}
    here.push({"app/all.yaml": manifests(slow, config("one", a="1"))})
    name = here.declare()
    here.settle()
    assert here.hands.get("batch/v1/jobs", here.namespace, "before")
    operate.terminate(here.edges, name, "dana")
    here.settle()
    assert here.config("one") is None
    eventually(lambda: here.hands.get("batch/v1/jobs", here.namespace, "before") is None)


def test_a_failed_attempt_is_tried_again_at_its_time(here: Installation) -> None:
    space = random_name("flow-late")
    where = {"server": "https://kubernetes.default.svc", "namespace": space}
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare(automated={}, destination=where, retry={"limit": 3, "backoff": {"duration": "20s"}})
    here.settle()
    [sync] = here.syncs(name)
    assert (sync.phase, sync.retry_count) == ("Running", 0) and sync.retry_at is not None
    assert timedelta(seconds=10) < sync.retry_at - here.clock() < timedelta(seconds=21)
    assert ("on-sync-failed", f"app:{name}", True) in here.alerts(), "people hear at the first failure"
    here.hands.create("v1/namespaces", "", {"metadata": {"name": space}})
    try:
        here.hurry(1)
        assert here.syncs(name)[0].retry_count == 0, "not before its time"
        here.clock.ahead += timedelta(seconds=21)
        here.hurry(2)
        [sync] = here.syncs(name)
        assert (sync.phase, sync.retry_count) == ("Succeeded", 1)
        assert here.alerts("on-sync-failed") == [("on-sync-failed", f"app:{name}", False)]
    finally:
        here.hands.delete("v1/namespaces", "", space)


def test_the_failure_of_a_commit_is_over_when_git_goes_back(here: Installation) -> None:
    good = manifests(config("one", a="1"))
    bad = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "no"}, "spec": {"ports": [{"port": 700000}]}}
    here.push({"app/all.yaml": good})
    name = here.declare(automated={}, retry={"limit": 0})
    here.settle()
    here.push({"app/more.yaml": manifests(bad)})
    here.fetch()
    here.settle()
    assert here.phases(name)[0] == ("git", "Failed")
    assert "spec.ports[0].port" in here.syncs(name)[0].message
    here.push({"app/more.yaml": None})
    here.fetch()
    here.hurry(3)
    assert here.status(name)[0] == "Synced"
    assert here.alerts("on-sync-failed") == [("on-sync-failed", f"app:{name}", False)]


def test_a_rollback_holds_until_git_has_something_newer(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare()
    here.settle()
    here.push({"app/all.yaml": manifests(config("one", a="2"))})
    here.fetch()
    here.settle()
    here.host.path(here.repository).rename(here.host.path(here.repository).with_suffix(".gone"))
    try:
        operate.rollback(here.edges, name, None, "dana", why="errors")
        here.settle()
    finally:
        here.host.path(here.repository).with_suffix(".gone").rename(here.host.path(here.repository))
    found = here.config("one")
    assert found is not None and found["data"] == {"a": "1"}, "from the stored render, without the Git host"
    here.look(name)
    here.settle()
    found = here.config("one")
    assert found is not None and found["data"] == {"a": "1"}, "automation does not go back"
    assert here.status(name)[0] == "OutOfSync"
    here.push({"app/all.yaml": manifests(config("one", a="3"))})
    here.fetch()
    here.settle()
    found = here.config("one")
    assert found is not None and found["data"] == {"a": "3"}
    assert here.app(name).pin is None
    assert [kind for kind, _ in here.phases(name)] == ["git", "rollback", "git", "git"]


@pytest.mark.covers("DEL-01")
@pytest.mark.parametrize("cascade", [True, False])
def test_deleting_an_application_takes_its_objects_or_leaves_them(here: Installation, cascade: bool) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"), deployment("web"))})
    name = here.declare()
    here.settle()
    here.hands.create("v1/configmaps", here.namespace, {"metadata": {"name": "foreign"}})
    operate.remove(here.edges, name, "dana", cascade=cascade)

    def gone() -> bool:
        here.hurry(1)
        return here.find(name) is None

    eventually(gone, 30)
    assert (here.config("one") is None) is cascade
    assert here.config("foreign") is not None


def test_an_object_whose_mark_was_removed_outlives_its_application(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"), config("two", a="1"))})
    name = here.declare()
    here.settle()
    here.hands.merge_patch(
        "v1/configmaps", here.namespace, "one", {"metadata": {"labels": {"driftline.io/installation": None}}}
    )
    operate.remove(here.edges, name, "dana", cascade=True)

    def gone() -> bool:
        here.hurry(1)
        return here.find(name) is None

    eventually(gone, 15)
    assert here.config("one") is not None and here.config("two") is None


def test_deleting_an_application_in_mid_sync_leaves_no_hook_that_blocks_its_namespace(here: Installation) -> None:
    slow = hook("before", "PreSync")
    slow["spec"]["template"]["spec"]["nodeSelector"] = {"nobody": "has-this"}
    here.push({"app/all.yaml": manifests(slow, config("one", a="1"))})
    name = here.declare()
    here.settle()
    assert here.hands.get("batch/v1/jobs", here.namespace, "before")
    operate.remove(here.edges, name, "dana", cascade=True)

    def gone() -> bool:
        here.hurry(1)
        return here.find(name) is None

    eventually(gone, 15)
    eventually(lambda: here.hands.get("batch/v1/jobs", here.namespace, "before") is None)


def test_an_application_that_brings_its_namespace_can_be_deleted(here: Installation) -> None:
    space = random_name("flow-own")
    ours = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}
    inside = {**config("one", a="1"), "metadata": {"name": "one", "namespace": space}}
    here.push({"app/all.yaml": manifests(ours, inside)})
    name = here.declare()

    def arrived() -> bool:
        here.hurry(1)
        return here.status(name)[0] == "Synced"

    eventually(arrived, 15)
    operate.remove(here.edges, name, "dana", cascade=True)

    def gone() -> bool:
        here.hurry(1)
        return here.find(name) is None

    eventually(gone, 30)
    assert here.hands.get("v1/namespaces", "", space) is None


def test_the_alerts_of_a_deleted_application_end(here: Installation) -> None:
    here.push({"app/all.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one\n"})
    name = here.declare()
    here.settle()
    assert here.alerts() == [("on-sync-status-unknown", f"app:{name}", True)]
    operate.remove(here.edges, name, "dana")
    here.settle()
    assert here.find(name) is None
    assert here.alerts() == [("on-sync-status-unknown", f"app:{name}", False)]


def test_more_deletions_than_the_budget_wait_for_a_person(here: Installation) -> None:
    many = [config(f"conf{n:02}", a="1") for n in range(30)]
    here.push({"app/all.yaml": manifests(*many)})
    name = here.declare()
    here.settle()
    here.push({"app/all.yaml": manifests(many[0])})
    here.fetch()
    here.settle()
    [sync] = here.syncs(name)[:1]
    assert sync.phase == "Held" and "more than the budget" in sync.message
    assert here.config("conf29") is not None
    with pytest.raises(Permanent, match="changed since it was shown"):
        operate.approve(here.edges, name, "another-plan", None, "dana")
    operate.approve(here.edges, name, sync.plan_digest, None, "dana")
    here.hurry(3)
    assert here.config("conf29") is None and here.config("conf00") is not None
    assert here.owned(name) == {f"/ConfigMap/{here.namespace}/conf00"}
    assert here.status(name) == ("Synced", "Healthy")


def test_an_empty_repository_directory_deletes_nothing(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare()
    here.settle()
    here.push({"app/all.yaml": None, "app/README.md": "nothing left"})
    here.fetch()
    here.hurry(2)
    assert here.config("one") is not None
    assert here.status(name)[0] == "OutOfSync"


def test_what_a_hand_deleted_and_git_dropped_leaves_the_inventory(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"), config("two", a="1"))})
    name = here.declare(automated={})
    here.settle()
    here.hands.delete("v1/configmaps", here.namespace, "two")
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    here.fetch()
    here.settle()
    assert here.owned(name) == {f"/ConfigMap/{here.namespace}/one"}
    assert here.status(name) == ("Synced", "Healthy")


def test_people_see_plan_diff_tree_and_manifests_without_a_write(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare(automated={})
    here.settle()
    here.hands.merge_patch("v1/configmaps", here.namespace, "one", {"data": {"a": "hand"}})
    mark = here.local.audit_mark()
    seen = inspect.plan(here.edges, name)
    assert not seen.empty and f"update ConfigMap/{here.namespace}/one" in seen.view["text"]
    [found] = inspect.diff(here.edges, name)
    assert "-  a: hand" in found.text and '+  a: "1"' in found.text
    assert [node.key.name for node in inspect.tree(here.edges, name)] == ["one"]
    assert [body["metadata"]["name"] for body in inspect.manifests(here.edges, name)] == ["one"]
    writes = [e for e in here.local.audit(mark) if e.user == "driftline" and e.verb not in ("get", "list", "watch")]
    assert all(entry.dry_run for entry in writes)
