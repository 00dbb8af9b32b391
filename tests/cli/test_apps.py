"""Applications from the command line, against the real server."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftline.adapters.store import applications, syncs
from driftline.adapters.store.tables import sync as sync_table
from driftline.flow import inspect
from driftline.flow.inspect import ObjectDiff, PlanView
from driftline.model.health import HealthStatus, SyncStatus
from driftline.model.sync import OperationPhase
from tests.cli.conftest import Run
from tests.kit.site import CONFIG, Site, declaration, lived_in


@contextmanager
def worker(
    site: Site, name: str = "shop", phase: OperationPhase = OperationPhase.SUCCEEDED, **values: Any
) -> Iterator[None]:
    """Somebody who ends an application's operation a moment after it was asked for."""
    ending = threading.Event()

    def work() -> None:
        while not ending.is_set():
            with site.store.write() as db:
                row = applications.get(db, name)
                found = syncs.open_of(db, row.id) if row else None
                if found is not None:
                    result = {
                        "key": CONFIG.id, "status": "Synced", "action": "created", "message": "created",
                        "uid": "", "retryable": False, "at": None,
                    }  # fmt: skip
                    ended = None if phase is OperationPhase.HELD else datetime.now(UTC)
                    change = sync_table.update().where(sync_table.c.id == found.id)
                    given = {"results": {"objects": [result], "hooks": []}, "finished_at": ended, **values}
                    db.execute(change.values(phase=phase, **given))
            time.sleep(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


@pytest.mark.covers("CLI-01")
def test_applications_come_from_a_file(driftline: Run, tmp_path: Path) -> None:
    file = tmp_path / "apps.yaml"
    file.write_text(yaml.safe_dump_all([declaration("one"), declaration("two")]))
    made = driftline("app", "create", "-f", str(file))
    assert made.code == 0 and made.out.splitlines() == ["application 'one' created", "application 'two' created"]
    assert "no cluster" in made.err
    assert driftline("app", "list", "-o", "name").out.split() == ["one", "two"]


@pytest.mark.parametrize(
    ("automated", "word"),
    [
        (None, "Manual"),
        ({"enabled": False, "prune": True}, "Manual"),
        ({}, "Auto"),
        ({"selfHeal": True}, "Auto"),
        ({"selfHeal": True, "prune": False}, "Auto"),
        ({"prune": True}, "Auto-Prune"),
        ({"enabled": True, "prune": True, "selfHeal": True}, "Auto-Prune"),
    ],
    ids=str,
)
def test_the_list_says_what_automation_may_do_in_argo_cds_words(
    driftline: Run, site: Site, automated: Any, word: str
) -> None:
    site.create("one", syncPolicy={"automated": automated} if automated is not None else {})
    title, line = (each.split() for each in driftline("app", "list").out.splitlines())
    assert line[title.index("SYNCPOLICY")] == word


def test_automation_that_was_switched_off_is_switched_on_again(driftline: Run, site: Site) -> None:
    site.create("one", syncPolicy={"automated": {"enabled": False, "prune": True}})
    assert driftline("app", "set", "one", "--sync-policy", "automated", "--self-heal").code == 0
    assert site.get("/api/v1/applications/one")["spec"]["syncPolicy"]["automated"] == {"prune": True, "selfHeal": True}


def test_a_file_that_is_wrong_is_named_with_its_line(driftline: Run, tmp_path: Path) -> None:
    file = tmp_path / "apps.yaml"
    file.write_text("a: 1\na: 2\n")
    found = driftline("app", "create", "-f", str(file))
    assert found.code == 1 and f"{file}:2" in found.err
    file.write_text("apiVersion: v1\nkind: ConfigMap\n")
    assert "ConfigMap" in driftline("app", "create", "-f", str(file)).err
    assert driftline("app", "create", "-f", str(tmp_path / "none")).code == 1
    assert driftline("app", "create").code == 1


@pytest.mark.covers("CLI-04")
def test_an_application_is_declared_by_argo_cds_options_and_changed(driftline: Run) -> None:
    made = driftline(
        *("app", "create", "web", "--repo", "https://git.example/a.git", "--path", "charts/web", "--revision", "v1"),
        *("--dest-server", "https://kubernetes.default.svc", "--dest-namespace", "web", "--sync-policy", "automated"),
        *("--auto-prune", "--self-heal", "--sync-option", "CreateNamespace=true", "--values", "prod.yaml"),
        *("--helm-set", "image.tag=1.2", "--helm-set-string", "port=80", "-l", "team=web", "--set-finalizer"),
    )
    assert made.code == 0, made.err
    app = json.loads(driftline("app", "get", "web", "-o", "json").out)
    assert app["metadata"]["labels"] == {"team": "web"} and app["metadata"]["finalizers"]
    assert app["spec"]["source"] == {
        "repoURL": "https://git.example/a.git",
        "path": "charts/web",
        "targetRevision": "v1",
        "helm": {
            "valueFiles": ["prod.yaml"],
            "parameters": [
                {"name": "image.tag", "value": "1.2"},
                {"name": "port", "value": "80", "forceString": True},
            ],
        },
    }
    assert app["spec"]["syncPolicy"] == {
        "automated": {"prune": True, "selfHeal": True},
        "syncOptions": ["CreateNamespace=true"],
    }
    changed = driftline("app", "set", "web", "--revision", "v2", "--helm-set", "image.tag=2", "--sync-policy", "none")
    assert changed.code == 0, changed.err
    spec = json.loads(driftline("app", "get", "web", "-o", "json").out)["spec"]
    assert spec["source"]["targetRevision"] == "v2" and "automated" not in spec["syncPolicy"]
    assert {"name": "image.tag", "value": "2"} in spec["source"]["helm"]["parameters"]
    assert len(spec["source"]["helm"]["parameters"]) == 2


def test_a_list_shows_status_and_filters(driftline: Run, site: Site) -> None:
    lived_in(site)
    site.create("other")
    titles, *rows = driftline("app", "list").out.splitlines()
    assert titles.split()[:6] == ["NAME", "CLUSTER", "NAMESPACE", "PROJECT", "STATUS", "HEALTH"]
    assert any("shop" in row and "OutOfSync" in row and "Healthy" in row for row in rows)
    assert driftline("app", "list", "--name", "oth", "-o", "name").out == "other\n"
    assert yaml.safe_load(driftline("app", "list", "-o", "yaml").out)[1]["metadata"]["name"] == "shop"
    assert "4f0c9d1e2b3a" in driftline("app", "list", "-o", "wide").out
    assert driftline("app", "list", "-l", "team=nobody", "-o", "json").out == "[]\n"


def test_one_application_is_shown_with_its_objects_and_its_past(driftline: Run, site: Site) -> None:
    lived_in(site)
    shown = driftline("app", "get", "shop").out
    assert "Sync Status:" in shown and "OutOfSync" in shown and "look here" in shown
    assert "ConfigMap" in shown and "Deployment" in shown
    assert "4f0c9d1e2b3a" in driftline("app", "history", "shop").out
    assert "data.size" in driftline("drift", "list", "--app", "shop").out
    assert "data.colour" not in driftline("drift", "list").out
    assert "as in Git again" in driftline("drift", "list", "--all").out
    assert driftline("app", "syncs", "shop").out.count("Succeeded") == 2
    missing = driftline("app", "get", "nothing")
    assert missing.code == 1 and "Application nothing: does not exist" in missing.err


@pytest.mark.covers("CLI-02")
def test_a_sync_is_followed_to_its_end(driftline: Run, site: Site) -> None:
    site.create()
    with worker(site, message="successfully synced"):
        done = driftline("app", "sync", "shop", "--prune", "--timeout", "20")
    assert done.code == 0, done.err
    assert "shop: Succeeded: successfully synced" in done.out and "created" in done.out
    assert "Succeeded" in done.err
    assert driftline("app", "sync", "shop", "--async", "--resource", "apps:Deployment:shop/web").code == 0
    with site.store.read() as db:
        row = applications.get(db, "shop")
        assert row is not None
        found = syncs.open_of(db, row.id)
    assert found is not None and found.request["only"] == ["apps/Deployment/shop/web"]
    assert driftline("app", "terminate-op", "shop").code == 0


def test_a_sync_that_fails_or_waits_is_an_error(driftline: Run, site: Site) -> None:
    site.create()
    with worker(site, phase=OperationPhase.FAILED, message="the API server refused"):
        failed = driftline("app", "sync", "shop", "--timeout", "20")
    assert failed.code == 1 and "Failed: the API server refused" in failed.out
    with worker(site, phase=OperationPhase.HELD, message="deletes a namespace"):
        held = driftline("app", "sync", "shop", "--timeout", "20")
    assert held.code == 1 and "driftline app approve shop" in held.err
    site.create("idle")
    late = driftline("app", "sync", "idle", "--timeout", "0.5")
    assert late.code == 1 and "after 0.5 s" in late.err


def test_a_sync_that_was_overtaken_is_followed_by_the_newer_one(driftline: Run, site: Site) -> None:
    number = site.create()
    seen: list[int] = []

    def overtake() -> None:
        for phase in (OperationPhase.SUPERSEDED, OperationPhase.SUCCEEDED):
            while True:
                with site.store.write() as db:
                    found = syncs.open_of(db, number)
                    if found is not None:
                        change = sync_table.update().where(sync_table.c.id == found.id)
                        db.execute(change.values(phase=phase, finished_at=datetime.now(UTC)))
                        seen.append(found.id)
                        if phase is OperationPhase.SUPERSEDED:
                            syncs.create(db, number, "git", stage="requested")
                        break
                time.sleep(0.05)

    thread = threading.Thread(target=overtake)
    thread.start()
    done = driftline("app", "sync", "shop", "--timeout", "20")
    thread.join()
    assert done.code == 0 and len(seen) == 2


def test_waiting_ends_when_the_state_is_there_or_the_time_is_over(driftline: Run, site: Site) -> None:
    number = lived_in(site)
    late = driftline("app", "wait", "shop", "--sync", "--timeout", "0.5")
    assert late.code == 1 and "is OutOfSync after 0.5 s" in late.err
    assert driftline("app", "wait", "shop", "--health", "--timeout", "5").code == 0

    def heal() -> None:
        time.sleep(0.5)
        with site.store.write() as db:
            applications.set_status(db, number, sync_status=SyncStatus.SYNCED, health_status=HealthStatus.HEALTHY)

    thread = threading.Thread(target=heal)
    thread.start()
    done = driftline("app", "wait", "shop", "--timeout", "20")
    thread.join()
    assert done.code == 0 and done.out == "shop: Synced, Healthy\n"
    with site.store.write() as db:
        applications.set_status(db, number, deleting=True)
    assert driftline("app", "wait", "shop", "--delete", "--timeout", "0.4").code == 1
    assert driftline("app", "wait", "gone", "--delete", "--timeout", "5").code == 0


def test_waiting_and_syncing_say_the_error_that_is_known(driftline: Run, site: Site) -> None:
    number = lived_in(site)
    known = [{"type": "ComparisonError", "message": "web:\n not found", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    with site.store.write() as db:
        applications.set_status(db, number, conditions=known)
    late = driftline("app", "wait", "shop", "--sync", "--timeout", "0.5")
    assert late.err.count("ComparisonError: web: not found") == 2  # while it waits, and at the end

    def fail() -> None:
        time.sleep(0.5)
        with site.store.write() as db:
            change = sync_table.update().where(sync_table.c.application_id == number)
            db.execute(change.values(phase="Error", message=""))

    thread = threading.Thread(target=fail)
    thread.start()
    done = driftline("app", "sync", "shop", "--timeout", "20")
    thread.join()
    assert done.code == 1 and done.out.splitlines()[-1] == "shop: Error: ComparisonError: web: not found"


@pytest.mark.covers("CLI-03")
def test_differences_have_an_exit_code_of_their_own(
    driftline: Run, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.create()
    fields = {
        "path": "data.colour", "kind": "changed", "desired": "blue", "live": "red",
        "manager": "kubectl-edit", "operation": "Update", "at": None,
    }  # fmt: skip
    found = [ObjectDiff(CONFIG, "drifted", "--- a\n+++ b\n-  colour: red\n+  colour: blue\n", [fields])]
    monkeypatch.setattr(inspect, "diff", lambda *_: tuple(found))
    different = driftline("app", "diff", "shop")
    assert different.code == 2
    assert "data.colour: red instead of blue by kubectl-edit" in different.out and "+  colour: blue" in different.out
    assert driftline("app", "diff", "shop", "--no-exit-code").code == 0
    found.clear()
    assert driftline("app", "diff", "shop").code == 0
    assert driftline("app", "diff", "nothing").code == 1
    view = {"digest": "d", "text": "1 update ConfigMap/shop/conf", "changes": [], "warnings": ["mind the gap"]}
    monkeypatch.setattr(inspect, "plan", lambda *_: PlanView(view, False, "d", ("abc",)))
    planned = driftline("app", "plan", "shop", "--prune")
    assert planned.code == 2 and planned.out == "1 update ConfigMap/shop/conf\n" and "mind the gap" in planned.err
    monkeypatch.setattr(inspect, "plan", lambda *_: PlanView({**view, "text": "nothing to do"}, True, "d", ()))
    assert driftline("app", "plan", "shop").code == 0


def test_deleting_asks_unless_told_otherwise(driftline: Run, site: Site) -> None:
    site.create()
    refused = driftline("app", "delete", "shop")
    assert refused.code == 1 and "--yes" in refused.err
    assert driftline("app", "delete", "shop", "--yes", "--no-cascade").code == 0
    with site.store.read() as db:
        row = applications.get(db, "shop")
    assert row is not None and row.delete_mode == "forget"


def test_automation_is_paused_and_goes_on(driftline: Run, site: Site) -> None:
    site.create()
    assert driftline("app", "pause", "shop", "--reason", "release night", "--for", "2h").code == 0
    shown = driftline("app", "get", "shop").out
    assert "by ada, release night, until" in shown and "Unknown (paused)" in shown
    assert driftline("app", "resume", "shop").code == 0
    assert "paused" not in driftline("app", "get", "shop").out


def test_what_a_plan_holds_is_shown_and_allowed(driftline: Run, site: Site) -> None:
    number = site.create()
    held = {"held": [{"key": "/Namespace//shop", "op": "prune", "why": "takes 3 objects with it"}], "text": ""}
    assert driftline("app", "approve", "shop", "--yes").code == 1
    with site.store.write() as db:
        made = syncs.create(db, number, "manual", stage="held", initiated_by="ada")
        change = sync_table.update().where(sync_table.c.id == made)
        db.execute(change.values(phase="Held", plan_digest="abc", plan_view=held))
    assert driftline("app", "approve", "shop").code == 1
    steps = "driftline app approve shop, or driftline app terminate-op shop"
    shown = " ".join(driftline("app", "get", "shop").out.split())
    assert "Operation: Held" in shown and f"Next: {steps}" in shown and "Running" not in shown
    refused = driftline("app", "sync", "shop")
    assert refused.code == 1 and "its plan is held for a person; driftline app approve shop allows it" in refused.err
    done = driftline("app", "approve", "shop", "--yes")
    assert done.code == 0 and "prune Namespace//shop: takes 3 objects with it" in done.out
    with site.store.read() as db:
        found = syncs.open_of(db, number)
    assert found is not None and found.approved["keys"] == ["/Namespace//shop"]


def test_deletions_that_ask_for_it_are_confirmed(driftline: Run, site: Site) -> None:
    number = site.create()
    held = {"held": [{"key": "/ConfigMap/shop/one", "op": "prune", "why": "asks", "confirm": True}], "text": ""}
    assert driftline("app", "confirm-deletion", "shop").code == 1
    with site.store.write() as db:
        made = syncs.create(db, number, "manual", stage="held", initiated_by="ada")
        db.execute(sync_table.update().where(sync_table.c.id == made).values(phase="Held", plan_view=held))
    assert (
        "driftline app confirm-deletion shop, or driftline app terminate-op shop" in driftline("app", "get", "shop").out
    )
    assert "driftline app confirm-deletion shop allows it" in driftline("app", "sync", "shop").err
    unasked = driftline("app", "confirm-deletion", "shop")
    assert unasked.code == 1 and "delete ConfigMap/shop/one" in unasked.out and "--yes" in unasked.err
    with site.store.read() as db:
        row = applications.get(db, "shop")
    assert row is not None and "annotations" not in row.document["metadata"]
    done = driftline("app", "confirm-deletion", "shop", "--yes")
    assert done.code == 0 and "delete ConfigMap/shop/one" in done.out and "deletion confirmed" in done.out
    with site.store.read() as db:
        row = applications.get(db, "shop")
    assert row is not None and "argocd.argoproj.io/deletion-approved" in row.document["metadata"]["annotations"]


def test_a_sync_that_waits_for_its_retry_is_named_by_the_one_that_it_refuses(driftline: Run, site: Site) -> None:
    number = site.create()
    with site.store.write() as db:
        made = syncs.create(db, number, "manual", stage="retrying", initiated_by="ada")
        at = datetime(2026, 11, 24, 12, 7, tzinfo=UTC)
        db.execute(sync_table.update().where(sync_table.c.id == made).values(retry_at=at))
    refused = driftline("app", "sync", "shop")
    assert refused.code == 1 and "it failed and is tried again at 12:07 UTC; driftline app terminate-op" in refused.err


def test_names_from_outside_cannot_move_the_cursor(driftline: Run, site: Site) -> None:
    number = lived_in(site)
    with site.store.write() as db:
        applications.set_status(db, number, health_message="\x1b[2Jgone\r\nfake: line")
    shown = driftline("app", "get", "shop").out
    assert "\x1b" not in shown and "\r" not in shown
