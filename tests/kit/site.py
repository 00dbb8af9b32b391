"""The real web application over a real database, with people of each sort, and something to look at."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from driftline.adapters.settings import Settings
from driftline.adapters.store import applications, clusters, drifts, histories, objects, syncs
from driftline.adapters.store.engine import Store
from driftline.adapters.taskqueue import Hint
from driftline.flow.assemble import make_edges
from driftline.flow.edges import Edges
from driftline.model.drift import VerdictState
from driftline.model.health import HealthStatus, SyncStatus
from driftline.model.objects import Key
from driftline.model.sync import OperationPhase
from service.auth.passwords import hash_password
from service.auth.sessions import Sessions
from service.auth.storage import StoredAccounts
from service.web import create_app

PASSWORD = "correct horse battery"
HASH = hash_password(PASSWORD)
PEOPLE = {"ada": ("role:admin",), "rita": ("role:readonly",), "nora": ()}
"""An administrator, a reader, and somebody without any right."""

REPO = "https://git.example/team/shop.git"
CONFIG = Key("", "ConfigMap", "shop", "conf")
WEB = Key("apps", "Deployment", "shop", "web")
COMMIT = "4f0c9d1e2b3a49586776859403122130abcdef01"


def declaration(name: str = "shop", **spec: Any) -> dict[str, Any]:
    """An application as people declare it."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "labels": {"team": "web"}},
        "spec": {
            "project": "default",
            "source": {"repoURL": REPO, "path": "deploy", "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
            **spec,
        },
    }


@dataclass
class Site:
    """The application, its edges, the hints that it sent to workers, and a token for each person."""

    app: Flask
    edges: Edges
    hints: list[Hint] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return self.edges.store

    def ask(self, method: str, path: str, who: str = "ada", body: Any = None, **options: Any) -> TestResponse:
        """One request with a person's token (nobody's for an empty name)."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        if body is not None:
            options["json"] = body
        return self.app.test_client().open(path, method=method, headers=headers, **options)

    def get(self, path: str, who: str = "ada", **query: Any) -> Any:
        """The JSON of a GET that succeeds."""
        answer = self.ask("GET", path, who, query_string=query)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer.get_json()

    def create(self, name: str = "shop", **spec: Any) -> int:
        """Declare an application; returns its number."""
        answer = self.ask("POST", "/api/v1/applications", body=declaration(name, **spec))
        assert answer.status_code == 200, answer.get_data(as_text=True)
        with self.store.read() as db:
            row = applications.get(db, name)
        assert row is not None
        return row.id


def site(directory: Path, database_url: str, settings: Mapping[str, Any] | None = None) -> Site:
    """The application over a migrated database. No worker runs and no broker is asked."""
    hints: list[Hint] = []
    made = make_edges(Settings(data_dir=directory, database_url=database_url, **(settings or {})))

    def send(given: Sequence[Hint]) -> None:
        hints.extend(given)

    edges = replace(made, send=send, flush=lambda: None)
    accounts = StoredAccounts(edges.store)
    sessions = Sessions(accounts)
    tokens = {}
    for name, roles in PEOPLE.items():
        if accounts.add(name, roles, HASH):
            tokens[name] = sessions.create_token(name, None)[1]
    return Site(create_app(edges), edges, hints, tokens)


@contextmanager
def served(found: Site) -> Iterator[str]:
    """The application on a port of this machine; yields its URL."""
    server = make_server("127.0.0.1", 0, found.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


def lived_in(found: Site, name: str = "shop") -> int:
    """An application with a past: objects, a finished sync, two deployments, an open and an ended drift."""
    number = found.create(name)
    now = datetime.now(UTC)
    with found.store.write() as db:
        cluster = clusters.save(db, "in-cluster", "https://kubernetes.default.svc", None)
        clusters.set_well(db, cluster.id, "uid-1", "v1.37.2")
        applications.link_cluster(db, cluster.id, "in-cluster", "https://kubernetes.default.svc")
        objects.claim_many(db, "uid-1", number, [objects.Claim(CONFIG, "v1"), objects.Claim(WEB, "apps/v1", wave=1)])
        seen: objects.ObjectChanges = {
            "state": objects.ObjectState.OWNED,
            "uid": "u-1",
            "verdict": VerdictState.SYNCED,
            "health_status": HealthStatus.HEALTHY,
        }
        objects.save_many(
            db, "uid-1", number, {CONFIG: {**seen, "verdict": VerdictState.DRIFTED}, WEB: {**seen, "uid": "u-2"}}
        )
        for kind, revision in (("git", "a" * 40), ("manual", COMMIT)):
            _sync(db, number, kind, revision, now)
        applications.set_status(
            db,
            number,
            sync_status=SyncStatus.OUT_OF_SYNC,
            health_status=HealthStatus.HEALTHY,
            revisions=[COMMIT],
            checked_at=now,
            summary={"images": ["nginx:1.27"], "objects": 2, "outOfSync": 1, "tool": "Directory/1/"},
            conditions=[
                {"type": "RenderWarning", "message": "look here", "lastTransitionTime": "2026-01-01T00:00:00Z"}
            ],
        )
        old = drifts.FieldFound("data.colour", "changed", "blue", "red", "kubectl-edit", "Update", now)
        drifts.record(db, number, "uid-1", {CONFIG.id: [old]}, now - timedelta(hours=1))
        drifts.close(db, number, None, "as in Git again", now)
        new = drifts.FieldFound("data.size", "changed", "1", "2", "kubectl-edit", "Update", now)
        drifts.record(db, number, "uid-1", {CONFIG.id: [new]}, now)
    return number


def _sync(db: Any, number: int, kind: str, revision: str, now: datetime) -> None:
    sync = syncs.create(
        db, number, kind, revisions=[revision], initiated_by="ada", request={"prune": True}, stage="done"
    )
    assert sync is not None
    results = {
        "objects": [
            {
                "key": CONFIG.id,
                "status": "Synced",
                "action": "updated",
                "message": "updated",
                "uid": "u-1",
                "retryable": False,
                "at": now.isoformat(),
            }
        ],
        "hooks": [
            {"phase": "PreSync", "key": "batch/Job/shop/move", "state": "Succeeded", "message": "", "since": None}
        ],
    }
    from driftline.adapters.store.tables import sync as table

    change = table.update().where(table.c.id == sync)
    db.execute(
        change.values(
            phase=OperationPhase.SUCCEEDED,
            finished_at=now,
            results=results,
            message="successfully synced (all tasks run)",
            plan_view={"digest": "d", "text": "1 update ConfigMap/shop/conf", "held": [], "changes": []},
            plan_digest="d",
        )
    )
    histories.append(
        db, histories.Deployment(number, [revision], [{"repoURL": REPO}], None, sync, now, now, "ada"), limit=10
    )
