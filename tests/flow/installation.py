"""A whole installation without processes: its jobs are done when the test says so, its clock can be set forward."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import select, update

from deploy.localcluster.localcluster import LocalCluster
from driftline.adapters.settings import Settings
from driftline.adapters.store import applications, clusters, drifts, jobs, outbox, repositories, syncs
from driftline.adapters.store.applications import ApplicationRow
from driftline.adapters.store.columns import db_now
from driftline.adapters.store.drifts import DriftRow
from driftline.adapters.store.engine import Store
from driftline.adapters.store.syncs import SyncRow
from driftline.adapters.store.tables import alert, job, managed, metadata
from driftline.adapters.store.tables import outbox as outbox_table
from driftline.adapters.taskqueue import Hint
from driftline.flow import declare, registry, work
from driftline.flow.assemble import make_edges
from driftline.flow.edges import Edges
from driftline.flow.subjects import app_request, fetch_request, scan_request
from driftline.model.objects import Object
from tests.kit.cluster import Hands, hands, random_name
from tests.kit.githost import GitHost

FINALIZER = "resources-finalizer.argocd.argoproj.io"
IN_CLUSTER = "https://kubernetes.default.svc"
RECIPIENT = "webhook:https://alerts.example.test/hook"


@dataclass
class Clock:
    """Our own time; the database keeps its."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Installation:
    """Driftline in this process. `settle` does what is due; `hurry` makes due what waits."""

    store: Store
    local: LocalCluster
    host: GitHost
    folder: Path
    namespace: str
    kubeconfig: str = ""
    """Path of another way to the cluster than the straight one."""
    recipients: str = RECIPIENT
    queues: tuple[str, ...] = ("fast", "scan")
    clock: Clock = field(default_factory=Clock)
    hints: list[Hint] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.edges = self.more_edges()
        assert registry.ensure_local_cluster(self.edges).startswith("cluster in-cluster")
        self.repository = random_name("repo")
        self.tree = self.host.checkout(self.repository, self.folder / "tree")
        self.url = self.host.url(self.repository)

    def more_edges(self, **changes: Any) -> Edges:
        """The edges of one more worker process."""
        settings = Settings(
            data_dir=self.folder / "data",
            database_url=self.store.url.render_as_string(hide_password=False),
            kubeconfig=self.kubeconfig or str(self.local.kubeconfig_path("driftline")),
            alert_recipients=self.recipients,
            alert_private_addresses=True,
            **changes,
        )
        return replace(make_edges(settings), send=self.hints.extend, flush=lambda: None, now=self.clock)

    def close(self) -> None:
        self.edges.close()

    @property
    def hands(self) -> Hands:
        return hands(self.local)

    # -- what people do --------------------------------------------------------------------------------------------

    def push(self, files: Mapping[str, str | None], message: str = "change") -> str:
        """Commit and push; return the commit's id."""
        commit = self.tree.commit(message, files)
        self.tree.push()
        return commit

    def push_directly(self, files: Mapping[str, str | None]) -> None:
        """The same past the host's web server, while that refuses everybody."""
        self.tree.commit("change", files)
        self.tree.git("push", "--quiet", str(self.host.path(self.repository)), "HEAD")

    def declare(
        self,
        name: str = "",
        path: str = "app",
        *,
        automated: Mapping[str, Any] | None = {"prune": True, "selfHeal": True},
        options: Sequence[str] = (),
        finalizer: bool = True,
        upsert: bool = False,
        **spec: Any,
    ) -> str:
        """Declare an application of this repository in this namespace; return its name."""
        name = name or random_name("app")
        declare.declare(
            self.edges,
            [self.document(name, path, automated=automated, options=options, finalizer=finalizer, **spec)],
            "dana",
            upsert=upsert,
        )
        return name

    def document(
        self,
        name: str,
        path: str = "app",
        *,
        automated: Mapping[str, Any] | None = None,
        options: Sequence[str] = (),
        finalizer: bool = True,
        **spec: Any,
    ) -> Object:
        """An Application as people write it."""
        policy: dict[str, Any] = {"syncOptions": list(options)} if options else {}
        if automated is not None:
            policy["automated"] = dict(automated)
        if "retry" in spec:
            policy["retry"] = spec.pop("retry")
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "finalizers": [FINALIZER] if finalizer else []},
            "spec": {
                "project": "default",
                "source": {"repoURL": self.url, "path": path, "targetRevision": "main"},
                "destination": {"server": IN_CLUSTER, "namespace": self.namespace},
                "syncPolicy": policy,
                **spec,
            },
        }

    # -- what the other processes do ---------------------------------------------------------------------------------

    def fetch(self) -> None:
        """What a webhook asks for."""
        with self.store.write() as db:
            found = repositories.everything(db)
            jobs.request_many(db, [fetch_request(row.id) for row in found if row.url == self.url])

    def look(self, name: str, fresh: bool = False) -> None:
        """What watch asks for when an object of the application has changed."""
        with self.store.write() as db:
            wish = app_request(self.app(name).id)
            jobs.request(db, replace(wish, payload={"fresh": True}) if fresh else wish)

    def scan(self) -> None:
        """What beat asks for, though a watch may be alive."""
        with self.store.write() as db:
            [row] = clusters.everything(db)
            jobs.request(db, replace(scan_request(row.id), payload={"force": True}))

    def settle(self, rounds: int = 10) -> int:
        """Do every job that is due, and what follows from them. Returns how many were done."""
        done = 0
        for _ in range(rounds):
            some = sum(work.drain(self.edges, queue, awake=0.2) for queue in self.queues)
            done += some
            if not some:
                break
        return done

    def hurry(self, rounds: int = 10) -> None:
        """Settle, and do what waits for its time as well, a few times over."""
        for _ in range(rounds):
            self.settle()
            if not self.make_due():
                return

    def make_due(self) -> int:
        """Let every waiting job be due now; return how many there are."""
        with self.store.write() as db:
            return db.execute(update(job).where(job.c.state == "queued").values(run_at=db_now())).rowcount

    # -- what can be seen ----------------------------------------------------------------------------------------------

    def app(self, name: str) -> ApplicationRow:
        found = self.find(name)
        assert found is not None, f"application {name} is gone"
        return found

    def find(self, name: str) -> ApplicationRow | None:
        with self.store.read() as db:
            return applications.get(db, name)

    def status(self, name: str) -> tuple[str, str]:
        row = self.app(name)
        return str(row.sync_status), str(row.health_status)

    def conditions(self, name: str) -> dict[str, str]:
        return {each["type"]: each["message"] for each in self.app(name).conditions or ()}

    def syncs(self, name: str) -> list[SyncRow]:
        """The application's syncs, the newest first, whole."""
        with self.store.read() as db:
            found = [syncs.get(db, each.id) for each in syncs.of_application(db, self.app(name).id)]
        return [each for each in found if each is not None]

    def phases(self, name: str) -> list[tuple[str, str]]:
        return [(each.kind, str(each.phase)) for each in self.syncs(name)]

    def drift(self, name: str, only_open: bool = False) -> list[DriftRow]:
        with self.store.read() as db:
            return drifts.page(db, self.app(name).id, only_open=only_open)

    def owned(self, name: str) -> set[str]:
        with self.store.read() as db:
            rows = db.execute(select(managed.c.key_id).where(managed.c.application_id == self.app(name).id))
            return set(rows.scalars())

    def alerts(self, condition: str = "") -> list[tuple[str, str, bool]]:
        """Alerts as (condition, subject, open), in order."""
        with self.store.read() as db:
            rows = db.execute(select(alert.c.condition, alert.c.subject, alert.c.recovered_at).order_by(alert.c.id))
            return [(kind, subject, end is None) for kind, subject, end in rows if condition in ("", kind)]

    def told(self) -> list[tuple[str, str]]:
        """Messages of the outbox as (edge, title), in order."""
        with self.store.read() as db:
            rows = db.execute(select(outbox_table).order_by(outbox_table.c.id)).all()
        return [(str(row.edge), row.message["message"]["title"]) for row in rows]

    def waiting(self) -> list[outbox.OutboxRow]:
        with self.store.write() as db:
            return outbox.claim_due(db, timedelta(0), 100)

    def quarantined(self) -> list[jobs.Job]:
        with self.store.read() as db:
            return jobs.quarantined(db)

    def dump(self) -> str:
        """Every value of every row, as text; what is sealed is bytes that say nothing."""
        with self.store.read() as db:
            rows = [row for table in metadata.sorted_tables for row in db.execute(select(table))]
        return "\n".join(repr(value) for row in rows for value in row)

    def config(self, name: str) -> Object | None:
        return self.hands.get("v1/configmaps", self.namespace, name)


def manifests(*bodies: Object) -> str:
    """Objects as one YAML file."""
    return yaml.safe_dump_all(bodies, sort_keys=False)


def config(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str, image: str = "web:1", replicas: int = 1) -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "image": image}]}},
        },
    }


def hook(name: str, phase: str, policy: str = "HookSucceeded") -> Object:
    """A Job that runs as a hook; nodes are pretended, so it ends as soon as its Pod is simulated."""
    notes = {"argocd.argoproj.io/hook": phase, "argocd.argoproj.io/hook-delete-policy": policy}
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": name, "image": "tool:1"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "annotations": notes},
        "spec": {"backoffLimit": 0, "template": template},
    }
