"""Syncs, rollbacks, approvals and pauses over the API: what becomes of the request, in the rows that workers read."""

from datetime import UTC, datetime
from typing import Any

import pytest

from driftline.adapters.store import applications, histories, syncs
from driftline.flow import operate
from tests.kit.site import Site, lived_in

SHOP = "/api/v1/applications/shop"


def open_sync(site: Site) -> syncs.SyncRow:
    with site.store.read() as db:
        row = applications.get(db, "shop")
        assert row is not None
        found = syncs.open_of(db, row.id)
    assert found is not None
    return found


@pytest.mark.covers("API-02")
def test_a_sync_keeps_what_was_asked(both: Site) -> None:
    both.create()
    body = {
        "prune": True,
        "dryRun": True,
        "resources": [{"group": "apps", "kind": "Deployment", "namespace": "shop", "name": "web"}],
        "syncOptions": {"items": ["Replace=true"]},
        "strategy": {"hook": {"force": True}},
    }
    app = both.ask("POST", f"{SHOP}/sync", body=body).get_json()
    assert app["operation"]["sync"]["prune"] is True and app["operation"]["initiatedBy"] == {"username": "ada"}
    sync = open_sync(both)
    assert sync.initiated_by == "ada" and sync.kind == "manual"
    assert sync.request["only"] == ["apps/Deployment/shop/web"] and sync.request["force"] is True
    assert sync.request["dry_run"] is True and sync.request["sync_options"] == ["Replace=true"]


@pytest.mark.covers("OBJ-10")
def test_a_second_operation_is_refused_in_argo_cds_words(both: Site) -> None:
    both.create()
    assert both.ask("POST", f"{SHOP}/sync", body={}).status_code == 200
    answer = both.ask("POST", f"{SHOP}/sync", body={})
    assert answer.status_code == 400
    assert answer.get_json()["code"] == 9
    assert "another operation is already in progress" in answer.get_json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"resources": [{"kind": "ConfigMap"}]},
        {"resources": "all"},
        {"prune": "yes"},
        {"revision": 7},
        {"revision": "--upload-pack=/bin/sh"},
        {"syncOptions": {"items": [1]}},
        {"resources": [{"kind": "A/B", "name": "x"}]},
    ],
)
def test_a_sync_that_is_wrong_is_refused_and_nothing_starts(site: Site, body: Any) -> None:
    site.create()
    assert site.ask("POST", f"{SHOP}/sync", body=body).status_code == 400
    assert site.get(f"{SHOP}/syncs")["items"] == []


def test_terminating_marks_the_operation_and_needs_one(site: Site) -> None:
    site.create()
    assert site.ask("DELETE", f"{SHOP}/operation").status_code == 400
    site.ask("POST", f"{SHOP}/sync", body={})
    assert site.ask("DELETE", f"{SHOP}/operation").status_code == 200
    assert open_sync(site).terminate


def test_a_rollback_names_an_entry_of_the_history(site: Site) -> None:
    lived_in(site)
    unknown = site.ask("POST", f"{SHOP}/rollback", body={"id": 17})
    assert unknown.status_code == 400 and "no history entry 17" in unknown.get_json()["message"]
    # Its render was not kept by this test, which is said as such.
    assert "no stored render" in site.ask("POST", f"{SHOP}/rollback", body={"id": 0}).get_json()["message"]
    for number in (True, 2**40, "x", 1.5):
        answer = site.ask("POST", f"{SHOP}/rollback", body={"id": number})
        assert answer.status_code == 400 and "want a whole number" in answer.get_json()["message"]


def test_a_rollback_without_a_number_goes_to_what_was_different() -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)

    def entry(number: int, commit: str, render: int | None) -> histories.HistoryRow:
        return histories.HistoryRow(1, number, [commit], None, render, None, None, when, "")

    # The present deployment was synced again by hand: going back one entry would change nothing.
    deployed = [entry(3, "new", 20), entry(2, "new", 20), entry(1, "old", 10), entry(0, "older", 5)]
    assert operate.earlier_deployment(deployed) == deployed[2]
    assert operate.earlier_deployment(deployed[:2]) is None
    without_renders = [entry(2, "new", None), entry(1, "new", None), entry(0, "old", None)]
    assert operate.earlier_deployment(without_renders) == without_renders[2]


def test_a_pause_has_a_reason_and_an_end(both: Site) -> None:
    both.create()
    assert both.ask("POST", f"{SHOP}/pause", body={"reason": "night", "seconds": 3600}).status_code == 200
    paused = both.get(SHOP)["status"]["driftline"]["paused"]
    assert paused["by"] == "ada" and paused["why"] == "night" and paused["until"]
    assert both.ask("POST", f"{SHOP}/unpause", body={}).status_code == 200
    assert both.get(SHOP)["status"]["driftline"]["paused"] is None
    for bad in ({"until": "soon"}, {"until": "2026-01-01T00:00:00"}, {"seconds": -5}):
        assert both.ask("POST", f"{SHOP}/pause", body=bad).status_code == 400


def test_an_approval_counts_for_exactly_the_plan_that_was_shown(site: Site) -> None:
    number = lived_in(site)
    from driftline.adapters.store.tables import sync

    held = {"held": [{"key": "/Namespace//shop", "op": "prune", "why": "guarded"}], "text": ""}
    with site.store.write() as db:
        made = syncs.create(db, number, "manual", stage="held", initiated_by="ada")
        change = sync.update().where(sync.c.id == made)
        db.execute(change.values(phase="Held", plan_digest="abc", plan_view=held))
    assert site.get(SHOP)["status"]["driftline"]["sync"]["held"] == ["/Namespace//shop"]
    refused = site.ask("POST", f"{SHOP}/sync", body={}).get_json()
    assert refused["code"] == 9, "clients know it by this code, whatever is said of the plan"
    assert "another operation is already in progress: its plan is held for a person" in refused["message"]
    path = f"{SHOP}/plan/approve"
    assert site.ask("POST", path, body={"digest": "other"}).status_code == 400
    assert site.ask("POST", path, body={"digest": "abc", "keys": ["/Pod/shop/x"]}).status_code == 400
    assert site.ask("POST", path, body={}).status_code == 400
    assert site.ask("POST", path, body={"digest": "abc", "keys": ["/Namespace//shop"]}).status_code == 200
    assert open_sync(site).approved["keys"] == ["/Namespace//shop"]


def test_a_confirmation_is_the_annotation_of_this_moment(site: Site) -> None:
    number = lived_in(site)
    from driftline.adapters.store.tables import sync

    held = {"held": [{"key": "/ConfigMap/shop/one", "op": "prune", "why": "asks", "confirm": True}], "text": ""}
    message = "waiting for pruning confirmation of ConfigMap/one"
    assert site.ask("POST", f"{SHOP}/confirm-deletion", body={}).status_code == 400
    with site.store.write() as db:
        made = syncs.create(db, number, "manual", stage="held", initiated_by="ada", message=message)
        db.execute(sync.update().where(sync.c.id == made).values(phase="Held", plan_view=held))
    found = site.get(SHOP)["status"]
    assert found["driftline"]["awaitsConfirmation"] == ["/ConfigMap/shop/one"]
    assert (found["operationState"]["phase"], found["operationState"]["message"]) == ("Running", message)
    answer = site.ask("POST", f"{SHOP}/confirm-deletion", body={})
    assert answer.status_code == 200
    assert "argocd.argoproj.io/deletion-approved" in site.get(SHOP)["metadata"]["annotations"]


def test_hooks_of_a_deletion_show_as_finalizers(site: Site) -> None:
    number = lived_in(site)
    with site.store.write() as db:
        applications.set_status(db, number, summary={"deletionHooks": ["PreDelete"]})
    assert site.get(SHOP)["metadata"]["finalizers"][-2:] == [
        "pre-delete-finalizer.argocd.argoproj.io",
        "pre-delete-finalizer.argocd.argoproj.io/cleanup",
    ]


def test_syncs_are_listed_the_newest_first_and_shown_one_by_one(both: Site) -> None:
    lived_in(both)
    first = both.get(f"{SHOP}/syncs", limit=1)
    second = both.get(f"{SHOP}/syncs", limit=1, **{"continue": first["metadata"]["continue"]})
    assert [first["items"][0]["kind"], second["items"][0]["kind"]] == ["manual", "git"]
    found = both.get(f"{SHOP}/syncs/{first['items'][0]['id']}")
    assert found["planView"]["text"] == "1 update ConfigMap/shop/conf"
    assert found["operationState"]["syncResult"]["resources"][0]["name"] == "conf"


def test_a_sync_of_another_application_is_not_shown(site: Site) -> None:
    lived_in(site)
    site.create("other")
    number = site.get(f"{SHOP}/syncs")["items"][0]["id"]
    assert site.ask("GET", f"/api/v1/applications/other/syncs/{number}").status_code == 404
    assert site.ask("GET", f"/api/v1/applications/other/syncs/{'9' * 30}").status_code == 400


@pytest.mark.parametrize("what", ["plan", "diff", "manifests"])
def test_a_revision_that_is_an_option_is_refused(site: Site, what: str) -> None:
    site.create()
    answer = site.ask("GET", f"{SHOP}/{what}", query_string={"revision": "--upload-pack=/bin/sh"})
    assert answer.status_code == 400 and "upload-pack" in answer.get_json()["message"]
