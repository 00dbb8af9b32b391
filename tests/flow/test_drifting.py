"""What happens beside Git: hand edits are found, named and repaired; fights end; what kubectl made is taken over."""

import base64
from datetime import timedelta

import pytest

from driftline.flow import operate
from driftline.flow.operate import SyncRequest
from tests.flow.installation import Installation, config, deployment, manifests
from tests.kit.apiproxy import ApiProxy
from tests.kit.cluster import eventually


def _deployed(here: Installation, **declared: object) -> str:
    here.push({"app/all.yaml": manifests(deployment("web", replicas=1), config("one", a="1"))})
    name = here.declare(**declared)  # type: ignore[arg-type]
    here.settle()
    assert here.status(name)[0] == "Synced"
    return name


@pytest.mark.covers("AUTO-05")
def test_a_hand_edit_is_named_with_its_author_and_ends(here: Installation) -> None:
    name = _deployed(here, automated={})
    here.hands.merge_patch("apps/v1/deployments", here.namespace, "web", {"spec": {"replicas": 4}}, "kubectl-scale")
    here.scan()
    here.settle()
    assert here.status(name)[0] == "OutOfSync"
    [found] = here.drift(name, only_open=True)
    assert (found.path, found.desired, found.live) == ("spec.replicas", "1", "4")
    assert (found.manager, found.operation) == ("kubectl-scale", "Update")
    assert found.manager_at is not None
    assert found.last_clean_at is not None and found.last_clean_at <= found.found_at
    assert ("on-drift-found", f"app:{name}", True) in here.alerts()
    assert here.phases(name) == [("git", "Succeeded")], "selfHeal is off"
    begun = next(each.message["message"]["text"] for each in here.waiting() if each.edge == "fire")
    assert "or sync to undo it" in begun

    here.hands.merge_patch("apps/v1/deployments", here.namespace, "web", {"spec": {"replicas": 1}}, "kubectl-scale")
    here.scan()
    here.hurry(2)
    assert not here.drift(name, only_open=True)
    assert here.drift(name)[0].end_reason == "as in Git again"
    assert ("on-drift-found", f"app:{name}", False) in here.alerts()


def test_self_heal_repairs_only_what_drifted_and_tells_once(here: Installation) -> None:
    name = _deployed(here)
    here.hands.merge_patch("apps/v1/deployments", here.namespace, "web", {"spec": {"replicas": 4}})
    mark = here.local.audit_mark()
    here.scan()
    here.settle()
    live = here.hands.get("apps/v1/deployments", here.namespace, "web")
    assert live is not None and live["spec"]["replicas"] == 1
    assert here.phases(name)[0] == ("self-heal", "Succeeded")
    [found] = here.drift(name)
    assert found.end_reason == "repaired"
    assert here.status(name)[0] == "Synced"
    writes = [e for e in here.local.audit(mark) if e.user == "driftline" and e.verb == "patch" and not e.dry_run]
    assert len(writes) == 1
    assert [open_ for _, _, open_ in here.alerts("on-drift-found")] == [False]
    begun = next(each.message["message"]["text"] for each in here.waiting() if each.edge == "fire")
    assert "Self-heal undoes it" in begun and "or sync to undo it" not in begun


def test_a_push_over_a_hand_edit_ends_the_drift(here: Installation) -> None:
    name = _deployed(here, automated={})
    here.hands.merge_patch("v1/configmaps", here.namespace, "one", {"data": {"a": "hand"}})
    here.scan()
    here.settle()
    assert len(here.drift(name, only_open=True)) == 1
    here.push({"app/all.yaml": manifests(deployment("web", replicas=1), config("one", a="2"))})
    here.fetch()
    here.settle()
    assert here.status(name)[0] == "Synced"
    assert not here.drift(name, only_open=True)
    assert here.drift(name)[0].end_reason == "overwritten by a sync"


def test_repairs_of_the_same_drift_come_slower_and_a_fight_is_left_and_told(here: Installation) -> None:
    name = _deployed(here)

    def undone(seconds: float) -> str:
        """Somebody changes it back; `seconds` later we look."""
        here.hands.merge_patch("v1/configmaps", here.namespace, "one", {"data": {"a": "theirs"}}, "other-controller")
        here.clock.ahead += timedelta(seconds=seconds)
        here.scan()
        here.settle()
        found = here.config("one")
        assert found is not None
        return str(found["data"]["a"])

    assert undone(0) == "1", "the first time at once"
    assert undone(0) == "theirs", "then not before 2 s are over"
    here.clock.ahead += timedelta(seconds=3)
    here.hurry()
    found = here.config("one")
    assert found is not None and found["data"]["a"] == "1", "the wait is owed by a job, nobody else has to ask"
    assert undone(60) == "theirs", "the third flip within ten minutes is a fight"
    assert ("on-drift-fight", f"app:{name}", True) in here.alerts()

    # Drift of another object is repaired, and does not make us forget the fight.
    here.hands.merge_patch("apps/v1/deployments", here.namespace, "web", {"spec": {"replicas": 4}})
    here.clock.ahead += timedelta(minutes=11)
    here.scan()
    here.hurry()
    live = here.hands.get("apps/v1/deployments", here.namespace, "web")
    assert live is not None and live["spec"]["replicas"] == 1
    found = here.config("one")
    assert found is not None and found["data"]["a"] == "theirs"
    assert len(here.alerts("on-drift-fight")) == 1, "told once"


def test_a_value_that_was_there_already_becomes_ours_and_goes_with_git(here: Installation) -> None:
    name = _deployed(here)
    here.hands.merge_patch("v1/configmaps", here.namespace, "one", {"data": {"b": "hand"}})
    here.push({"app/all.yaml": manifests(deployment("web"), config("one", a="1", b="hand"))})
    here.fetch()
    here.settle()
    found = here.config("one")
    assert found is not None
    ours = [each for each in found["metadata"]["managedFields"] if each["manager"] == "driftline"]
    assert "f:b" in ours[0]["fieldsV1"]["f:data"], "equal values are claimed by a write"
    here.push({"app/all.yaml": manifests(deployment("web"), config("one", a="1"))})
    here.fetch()
    here.settle()
    found = here.config("one")
    assert found is not None and found["data"] == {"a": "1"}
    assert here.status(name)[0] == "Synced"


def test_what_kubectl_made_is_taken_over_with_what_git_does_not_have(here: Installation) -> None:
    old = {"metadata": {"name": "one"}, "data": {"a": "0", "old": "x"}}
    made = here.hands.create("v1/configmaps", here.namespace, old, "kubectl-client-side-apply")
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare(automated=None)
    operate.request_sync(here.edges, name, SyncRequest(), "dana")
    here.settle()
    assert here.phases(name) == [("manual", "Succeeded")], "no retry policy is needed for that"
    found = here.config("one")
    assert found is not None and found["data"] == {"a": "1"}
    assert found["metadata"]["uid"] == made["metadata"]["uid"], "taken over, not replaced"
    assert {each["manager"] for each in found["metadata"]["managedFields"]} == {"driftline"}
    [change] = here.syncs(name)[0].plan_view["changes"]
    assert change["op"] == "adopt" and any("old" in each["path"] for each in change["fields"]), "the plan names it"
    assert here.status(name) == ("Synced", "Healthy")


def test_an_object_that_lost_our_mark_is_no_deletion(here: Installation) -> None:
    name = _deployed(here, automated={})
    label = {"metadata": {"labels": {"driftline.io/installation": None}}, "data": {"a": "2"}}
    here.hands.merge_patch("v1/configmaps", here.namespace, "one", label)
    here.scan()
    here.settle()
    assert here.status(name)[0] == "OutOfSync"
    assert here.owned(name) >= {f"/ConfigMap/{here.namespace}/one"}
    assert any("data.a" in each.path for each in here.drift(name, only_open=True))


def test_a_deleted_object_is_missing_and_made_again(here: Installation) -> None:
    name = _deployed(here)
    here.hands.delete("v1/configmaps", here.namespace, "one")
    here.scan()
    here.settle()
    assert here.config("one") is not None
    assert here.phases(name)[0] == ("self-heal", "Succeeded")
    assert not here.drift(name, only_open=True)
    assert here.status(name)[0] == "Synced"


def test_a_paused_application_is_watched_and_not_written(here: Installation) -> None:
    name = _deployed(here)
    operate.pause(here.edges, name, "dana", "incident", until=here.clock() + timedelta(hours=1))
    here.hands.merge_patch("v1/configmaps", here.namespace, "one", {"data": {"a": "hand"}})
    here.scan()
    here.settle()
    found = here.config("one")
    assert found is not None and found["data"]["a"] == "hand"
    assert here.drift(name, only_open=True)
    here.clock.ahead += timedelta(hours=1, seconds=1)
    here.hurry()
    found = here.config("one")
    assert found is not None and found["data"]["a"] == "1", "the pause has run out, and the look was owed"


def test_a_held_plan_does_not_blind_its_application(here: Installation) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    here.push({"app/all.yaml": manifests(config("one", a="1"), claim)})
    name = here.declare()
    here.settle()
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    here.fetch()
    here.settle()
    assert here.phases(name)[0] == ("git", "Held"), "a volume claim holds data: a person decides"
    assert ("on-plan-held", f"app:{name}", True) in here.alerts()
    here.hands.merge_patch("v1/configmaps", here.namespace, "one", {"data": {"a": "hand"}})
    here.scan()
    here.settle()
    assert [each.path for each in here.drift(name, only_open=True)] == ["data.a"]
    assert here.phases(name)[0] == ("git", "Held")

    [sync] = here.syncs(name)[:1]
    operate.approve(here.edges, name, sync.plan_digest, None, "dana")

    def gone() -> bool:
        here.hurry(1)
        return f"/PersistentVolumeClaim/{here.namespace}/data" not in here.owned(name)

    eventually(gone)
    assert ("on-plan-held", f"app:{name}", False) in here.alerts()


def test_a_secrets_values_are_in_no_row_and_no_message(here: Installation) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login"},
        "stringData": {"password": "correct-horse-battery"},
    }
    here.push({"app/all.yaml": manifests(secret)})
    name = here.declare(automated={})
    here.settle()
    assert here.status(name) == ("Synced", "Healthy")
    here.hands.merge_patch("v1/secrets", here.namespace, "login", {"stringData": {"password": "staple-by-hand"}})
    here.scan()
    here.settle()
    assert len(here.drift(name, only_open=True)) == 1
    here.push({"app/all.yaml": manifests({**secret, "stringData": {"password": "third-and-last"}})})
    here.fetch()
    here.settle()
    assert here.status(name) == ("Synced", "Healthy")
    everything = here.dump()
    words = ["correct-horse-battery", "staple-by-hand", "third-and-last"]
    words += [base64.b64encode(word.encode()).decode() for word in words]
    assert [word for word in words if word in everything] == []


def test_an_object_that_cannot_be_judged_ends_no_alert(distant: Installation, proxy: ApiProxy) -> None:
    here = distant
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare(automated={"selfHeal": False})
    here.settle()
    here.hands.merge_patch("v1/configmaps", here.namespace, "one", {"data": {"a": "2"}})
    here.look(name, fresh=True)
    here.settle()
    found = ("on-drift-found", f"app:{name}", True)
    assert here.alerts("on-drift-found") == [found]

    fault = proxy.fail("PATCH", "dryRun=All", 409, times=100)
    here.hands.merge_patch("v1/configmaps", here.namespace, "one", {"metadata": {"labels": {"mine": "yes"}}})
    here.look(name, fresh=True)
    here.settle()
    assert fault.times < 100, "it was asked"
    assert here.alerts("on-drift-found") == [found], "nobody knows that it is over"

    proxy.faults.clear()
    here.hands.merge_patch("v1/configmaps", here.namespace, "one", {"data": {"a": "1"}})
    here.look(name, fresh=True)
    here.settle()
    assert here.alerts("on-drift-found") == [(*found[:2], False)]
