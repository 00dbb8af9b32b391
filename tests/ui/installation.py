"""An installation with a few applications in every state, as rows of a database; served to a browser."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Connection
from werkzeug.serving import make_server

from driftline.adapters.settings import Settings
from driftline.adapters.store import (
    alerts,
    applications,
    clusters,
    declarations,
    drifts,
    histories,
    jobs,
    live,
    objects,
    outbox,
    renders,
    repositories,
    syncs,
)
from driftline.adapters.store.applications import Changes
from driftline.adapters.store.declarations import Declaration, SourceDeclaration
from driftline.adapters.store.drifts import FieldFound
from driftline.adapters.store.objects import Claim, ObjectState
from driftline.adapters.taskqueue import Hint
from driftline.flow.assemble import make_edges
from driftline.flow.edges import Edges
from driftline.model.alert import Edge
from driftline.model.drift import VerdictState
from driftline.model.health import HealthStatus, SyncStatus
from driftline.model.objects import Key
from driftline.model.sync import OperationPhase
from service.auth.accounts import Account
from service.auth.passwords import hash_password
from service.auth.sessions import Sessions
from service.auth.storage import StoredAccounts
from service.web import create_app

PASSWORD = "a password of the tests"
UID = "7f1d6f64-kube-system"
SHA = "4f2a9c1be07d55aa1b2c3d4e5f60718293a4b5c6"
OLDER = "9b8a7c6d5e4f30211203f4e5d6c7b8a90f1e2d3c"
URL = "https://git.example.com/shop/deploy.git"
NORMAL = "https://git.example.com/shop/deploy"


@dataclass
class Installation:
    """One installation: its edges, its application, and what it sent to the workers."""

    edges: Edges
    app: Flask
    sent: list[Hint] = field(default_factory=list)

    def account(self, name: str, *roles: str) -> Account:
        """Somebody who can sign in with PASSWORD."""
        made = StoredAccounts(self.edges.store).add(name, roles, hash_password(PASSWORD))
        assert made is not None
        StoredAccounts(self.edges.store).set_password(name, hash_password(PASSWORD))
        return made

    def token(self, account: Account) -> str:
        """A session, as a login gives it."""
        return Sessions(StoredAccounts(self.edges.store)).open(account).token

    @property
    def now(self) -> datetime:
        return self.edges.now()


def installation(database: str, folder: Path, public_url: str = "http://127.0.0.1:8080") -> Installation:
    """An installation over a migrated, empty database."""
    settings = Settings(data_dir=folder, database_url=database, public_url=public_url, smtp_password="hunter2-smtp")
    edges = make_edges(settings)
    sent: list[Hint] = []
    edges = replace(edges, send=lambda hints: sent.extend(hints), flush=lambda: None)
    made = Installation(edges, create_app(edges), sent)
    made.app.config["PROPAGATE_EXCEPTIONS"] = False
    return made


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The application on a free port of this machine; gives its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join(timeout=10)


def document(name: str, **metadata: Any) -> dict[str, Any]:
    """An application's declaration."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, **metadata},
        "spec": {
            "project": "default",
            "source": {"repoURL": URL, "path": f"apps/{name}", "targetRevision": "main"},
            "destination": {"name": "prod-eu", "namespace": "shop"},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": False}},
        },
    }


def declare(
    db: Connection, names: Sequence[str], cluster_id: int | None, project: str = "default", **metadata: Any
) -> dict[str, int]:
    """Declare applications; returns their ids by name."""
    rows = repositories.ensure_many(db, [repositories.Named(URL, NORMAL)])
    found = declarations.declare_many(
        db,
        [
            Declaration(
                name=name,
                document=document(name, **metadata),
                project=project,
                cluster_id=cluster_id,
                namespace="shop",
                sources=(SourceDeclaration(NORMAL, "main", f"apps/{name}", rows[NORMAL].id),),
            )
            for name in names
        ],
    )
    return dict(found.ids)


def standing(at: datetime, **changes: Any) -> Changes:
    """What is known of an application that is well; `changes` say what is not."""
    known: dict[str, Any] = {
        "sync_status": SyncStatus.SYNCED,
        "health_status": HealthStatus.HEALTHY,
        "revisions": [SHA],
        "checked_at": at,
        "summary": {"objects": 5, "outOfSync": 0, "images": ["shop/web:1.5"], "tool": "directory"},
    }
    return Changes(**{**known, **changes})  # type: ignore[typeddict-item]


def fill(made: Installation) -> None:
    """A shop in trouble: something of everything that pages can show."""
    now = made.now
    with made.edges.store.write() as db:
        prod = clusters.save(db, "prod-eu", "https://prod-eu.example.com", b"sealed")
        clusters.set_well(db, prod.id, UID, "v1.37.2")
        away = clusters.save(db, "edge-7", "https://edge-7.example.com", b"sealed")
        clusters.set_failed(db, away.id, "edge-7: connection refused; check that the API server runs")
        ids = declare(db, ["cart", "checkout", "ledger", "mail", "search", "storefront"], prod.id)
        ids |= declare(db, ["kiosk"], away.id)
        hour = timedelta(hours=1)
        applications.set_statuses(
            db,
            {
                ids["cart"]: standing(now),
                ids["checkout"]: standing(
                    now,
                    sync_status=SyncStatus.OUT_OF_SYNC,
                    health_status=HealthStatus.DEGRADED,
                    health_message="apps/Deployment/shop/checkout: 1 of 3 replicas are ready; "
                    "the container api is in CrashLoopBackOff: exit code 1",
                    summary={
                        "objects": 5,
                        "outOfSync": 2,
                        "images": ["shop/checkout:2.1"],
                        "tool": "kustomize",
                        "commits": [
                            {"subject": "Raise the replicas of checkout before the sale", "author": "Ana Kovač"}
                        ],
                    },
                    conditions=[
                        {
                            "type": "SyncError",
                            "message": "Failed last sync attempt to 4f2a9c1be07d: one or more objects failed to apply",
                            "lastTransitionTime": (now - hour).isoformat(),
                        }
                    ],
                ),
                ids["ledger"]: standing(now, health_status=HealthStatus.PROGRESSING, health_message="1 of 2 updated"),
                ids["mail"]: standing(
                    now, paused={"by": "ana", "why": "migration", "at": now.isoformat(), "until": None}
                ),
                ids["search"]: standing(now, sync_status=SyncStatus.OUT_OF_SYNC, health_status=HealthStatus.MISSING),
                ids["storefront"]: standing(now, health_status=HealthStatus.SUSPENDED),
                ids["kiosk"]: standing(now - 2 * hour),
            },
        )
        _objects(db, prod.id, ids["checkout"], now)
        _drift(db, ids["checkout"], now)
        _syncs(db, ids, now)
        _people(db, now)
        _work(db, ids)


CHECKOUT = (
    Key("", "ConfigMap", "shop", "checkout"),
    Key("", "Secret", "shop", "checkout-db"),
    Key("", "Service", "shop", "checkout"),
    Key("apps", "Deployment", "shop", "checkout"),
    Key("networking.k8s.io", "Ingress", "shop", "checkout"),
)


def _objects(db: Connection, cluster_id: int, app_id: int, now: datetime) -> None:
    objects.claim_many(db, UID, app_id, [Claim(key, "v1" if not key.group else f"{key.group}/v1") for key in CHECKOUT])
    well: dict[str, Any] = {
        "uid": "u-1",
        "state": ObjectState.OWNED,
        "verdict": VerdictState.SYNCED,
        "health_status": HealthStatus.HEALTHY,
    }
    drifted = {**well, "verdict": VerdictState.DRIFTED, "reason": "spec.replicas: Git says 3, live has 5"}
    objects.save_many(
        db,
        UID,
        app_id,
        {key: drifted if key.kind in ("Deployment", "ConfigMap") else well for key in CHECKOUT},  # type: ignore[misc]
    )
    sick = live.Sighting(
        CHECKOUT[3].id, "u-1", "7", "d", HealthStatus.DEGRADED, "1 of 3 replicas are ready; api: CrashLoopBackOff"
    )
    live.upsert_many(db, cluster_id, [sick], now)


def _drift(db: Connection, app_id: int, now: datetime) -> None:
    before = now - timedelta(hours=3)
    replicas = FieldFound("spec.replicas", "changed", "3", "5", "kubectl-edit", "Update", now - timedelta(minutes=4))
    config = FieldFound("data[checkout.yaml]", "changed", "timeout: 30\n" * 30, "timeout: 5\n" * 30, "", "", None)
    label = FieldFound("metadata.labels.tier", "removed", "backend", "∅", "kubectl-label", "Update", before)
    drifts.record(db, app_id, UID, {CHECKOUT[2].id: [label]}, before)
    drifts.record(db, app_id, UID, {CHECKOUT[2].id: []}, before + timedelta(minutes=2))
    drifts.record(
        db,
        app_id,
        UID,
        {CHECKOUT[3].id: [replicas], CHECKOUT[0].id: [config]},
        now - timedelta(minutes=4),
        {CHECKOUT[3].id: now - timedelta(minutes=5)},
    )


def plan_json() -> dict[str, Any]:
    """A plan as flow shows it."""
    field_ = {
        "path": "spec.replicas",
        "kind": "changed",
        "desired": 3,
        "live": 5,
        "manager": "kubectl-edit",
        "operation": "Update",
        "at": datetime(2026, 11, 24, 8, 0, tzinfo=UTC).isoformat(),
    }
    return {
        "digest": "plan-digest-1",
        "text": "",
        "changes": [
            {"wave": 1, "phase": "PreSync", "op": "hook", "key": "batch/Job/shop/migrate", "reason": "", "fields": []},
            {"wave": 2, "phase": "Sync", "op": "create", "key": CHECKOUT[0].id, "reason": "", "fields": []},
            {"wave": 2, "phase": "Sync", "op": "update", "key": CHECKOUT[3].id, "reason": "", "fields": [field_]},
        ],
        "held": [
            {
                "op": "prune",
                "key": "/PersistentVolumeClaim/shop/orders",
                "reason": "",
                "why": "deleting a PersistentVolumeClaim deletes its data; a person has to allow it",
                "fields": [],
            }
        ],
        "skipped": [
            {
                "op": "prune",
                "key": "/ConfigMap/shop/old",
                "reason": "",
                "why": "pruning was not asked for",
                "fields": [],
            }
        ],
        "problems": [],
        "warnings": [],
        "unchanged": 3,
        "refused": "",
    }


def step(db: Connection, sync_id: int, **values: Any) -> None:
    """Save a step as the worker that holds the application's job does."""
    job_id = jobs.request(db, jobs.Request("app", f"test:{sync_id}"))
    held = jobs.claim(db, job_id, "test", timedelta(minutes=1))
    assert held is not None
    syncs.save_step(db, held, sync_id, **values)
    jobs.finish(db, held)


def _syncs(db: Connection, ids: dict[str, int], now: datetime) -> None:
    render = renders.put(db, "render-1", b"sealed", 5, "digest")
    results = {
        "objects": [
            {"key": CHECKOUT[0].id, "status": "Synced", "action": "created", "message": "", "uid": "", "at": None},
            {
                "key": CHECKOUT[3].id,
                "status": "SyncFailed",
                "action": None,
                "message": "spec.selector cannot change; allow recreate to replace the object",
                "uid": "",
                "at": None,
            },
        ],
        "hooks": [
            {"phase": "PreSync", "key": "batch/Job/shop/migrate", "state": "Succeeded", "message": "", "since": None}
        ],
    }
    failed = syncs.create(db, ids["checkout"], "git", revisions=[SHA], initiated_by="", automated=True)
    assert failed is not None
    step(
        db,
        failed,
        phase=OperationPhase.FAILED,
        message="one or more objects failed to apply",
        plan_view={**plan_json(), "held": []},
        results=results,
        finished_at=now,
    )
    applications.set_status(db, ids["checkout"], last_sync_id=failed)
    held = syncs.create(db, ids["search"], "manual", revisions=[SHA], initiated_by="ana")
    assert held is not None
    step(
        db,
        held,
        phase=OperationPhase.HELD,
        stage="held",
        plan_view=plan_json(),
        plan_digest="plan-digest-1",
        message="1 deletion waits for a person",
        results={"objects": [], "hooks": results["hooks"]},
    )
    for number, revision in enumerate((OLDER, SHA)):
        at = now - timedelta(hours=20 - number)
        histories.append(
            db,
            histories.Deployment(
                ids["checkout"],
                [revision],
                [{}],
                render,
                failed,
                at,
                at + timedelta(seconds=9),
                "automated sync policy",
            ),
        )


def _people(db: Connection, now: datetime) -> None:
    facts = {"application": "checkout", "message": "2 fields drift"}
    fired = alerts.fire_many(db, [alerts.Firing("app:checkout", "on-drift-found", "c1", facts=facts)], now)
    over = alerts.fire_many(db, [alerts.Firing("app:ledger", "on-health-degraded", "c2")], now - timedelta(hours=2))
    alerts.recover_many(db, [over[0].id], now - timedelta(hours=1))
    message = {"message": {"title": "checkout: 2 fields drift", "text": "..."}}
    outbox.add_many(
        db,
        [
            outbox.Outgoing("slack", "#deploys", Edge.FIRE, message, "k1", fired[0].id),
            outbox.Outgoing("email", "ops@example.com", Edge.FIRE, message, "k2", fired[0].id),
        ],
        now,
    )
    for row in outbox.claim_due(db, timedelta(minutes=1)):
        if row.channel == "email":
            outbox.mark_failed(db, row, "smtp.example.com: 550 no such mailbox", None)
        else:
            outbox.mark_sent(db, row, now, "171.42")


def _work(db: Connection, ids: dict[str, int]) -> None:
    number = jobs.request(db, jobs.Request("app", f"application:{ids['ledger']}"))
    held = jobs.claim(db, number, "test", timedelta(minutes=1))
    assert held is not None
    jobs.fail(
        db, held, "Application ledger: kustomize build failed: no such file base/kustomization.yaml", timedelta(0), 1
    )
    repository = repositories.by_urls(db, [NORMAL])[0]
    repositories.set_fetched(db, repository.id, {"refs/heads/main": SHA}, "main")
