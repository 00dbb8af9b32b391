"""Everything that flow reaches the outside with, made once per process and handed to each step."""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection
from structlog.typing import FilteringBoundLogger

from driftline.adapters.charts import Charts
from driftline.adapters.cluster.cluster import Cluster
from driftline.adapters.git import Mirrors
from driftline.adapters.notify import NotifySettings
from driftline.adapters.render.renderers import Renderers
from driftline.adapters.sealing import Sealer, context
from driftline.adapters.settings import Settings
from driftline.adapters.store import repositories
from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.store.engine import Store
from driftline.adapters.store.installation import installation_id
from driftline.adapters.taskqueue import Hint
from driftline.desired.urls import GIT
from driftline.flow.desires import DesireCache, Target, api_versions_of, scopes_of
from driftline.flow.schemas import SchemaCache
from driftline.model.access import ClusterAccess, RepositoryAccess
from driftline.model.cluster import Kinds
from driftline.model.digests import digest_bytes
from driftline.model.errors import Failure
from driftline.model.marks import Marks
from driftline.model.scrubbing import scrub


class Clusters:
    """Connections to API servers, one per registered cluster and process, made when first used."""

    def __init__(self, connect: Callable[[ClusterAccess], Cluster]) -> None:
        self._connect = connect
        self._open: dict[tuple[int, str], Cluster] = {}
        self._lock = threading.Lock()

    def get(self, cluster_id: int, access: Callable[[], ClusterAccess], version: str) -> Cluster:
        """The connection of a cluster row; `version` names its credentials, so that changed ones connect anew."""
        with self._lock:
            found = self._open.get((cluster_id, version))
            if found is None:
                for stale in [key for key in self._open if key[0] == cluster_id]:
                    del self._open[stale]
                found = self._open[cluster_id, version] = self._connect(access())
            return found


TEMPLATES_LAST = 3.0
"""Seconds after which credential templates are read again."""


@dataclass(frozen=True)
class Templates:
    """Credentials for every URL below their own, as they were a moment ago."""

    rows: tuple[repositories.RepositoryRow, ...]
    until: float = field(default_factory=lambda: time.monotonic() + TEMPLATES_LAST)

    def covering(self, url_normal: str, project: str) -> repositories.RepositoryRow | None:
        """The template with the longest URL that covers this one, of the project or of everybody."""
        return repositories.template_among(self.rows, url_normal, project)


@dataclass(frozen=True)
class Edges:
    """The outside of one process. Thread-safe; made after a fork, never before."""

    settings: Settings
    store: Store
    sealer: Sealer
    mirrors: Mirrors
    charts: Charts
    renderers: Renderers
    clusters: Clusters
    notify: NotifySettings
    send: Callable[[Sequence[Hint]], None]
    """Wakes workers. Never raises and never blocks for long: the rows are there, a message is only faster."""
    flush: Callable[[], None]
    """Waits a moment until hints are sent; for processes that are about to end."""
    log: FilteringBoundLogger
    report: Callable[[BaseException], Any]
    """Tells Sentry."""
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    pause: Callable[[float], None] = time.sleep
    """Waits some seconds, few enough for a worker's thread."""
    owner: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}")
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(16, thread_name_prefix="apply"))
    jobs_pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8, thread_name_prefix="job"))
    schemas: SchemaCache = field(default_factory=SchemaCache)
    desires: DesireCache = field(default_factory=DesireCache)
    _templates: dict[str, "Templates"] = field(default_factory=dict)
    _commits: dict[str, dict[str, str]] = field(default_factory=dict)
    _offers: dict[str, tuple[Kinds, str, tuple[str, ...]]] = field(default_factory=dict)

    @cached_property
    def installation(self) -> str:
        """The installation's id, which marks everything that we own in clusters."""
        with self.store.read() as db:
            return installation_id(db)

    def cluster(self, row: ClusterRow) -> Cluster:
        """The connection to a registered cluster."""
        return self.clusters.get(row.id, lambda: self._access(row), f"{row.server} {digest_bytes(row.access or b'')}")

    def _access(self, row: ClusterRow) -> ClusterAccess:
        """How to reach a cluster. One without stored access is the cluster that this process runs in."""
        if row.access is None:
            return ClusterAccess(row.name, row.server, self._local_kubeconfig())
        opened = orjson.loads(self.sealer.open(row.access, context("cluster", "access", row.name)))
        return ClusterAccess(row.name, row.server, opened["kubeconfig"])

    def local_access(self) -> ClusterAccess | None:
        """How to reach the cluster that we run in, or that the settings name; None if there is neither."""
        inside = "KUBERNETES_SERVICE_HOST" in os.environ
        if not inside and not self.settings.kubeconfig:
            return None
        return ClusterAccess("in-cluster", "https://kubernetes.default.svc", self._local_kubeconfig())

    def _local_kubeconfig(self) -> str:
        """The kubeconfig behind `in-cluster` outside a Pod, empty inside one."""
        path = self.settings.kubeconfig.split(":")[0]
        return Path(path).read_text(encoding="utf-8") if path else ""

    def templates(self, db: Connection) -> "Templates":
        """The credential templates, read at most every few seconds: each look at an application asks for them."""
        known = self._templates.get("")
        if known is None or time.monotonic() > known.until:
            known = self._templates[""] = Templates(tuple(repositories.everything(db, templates=True)))
        return known

    def commit(self, access: RepositoryAccess, commit: str) -> dict[str, str]:
        """Subject and author of a commit, read once; empty texts if this machine's mirror does not have it.

        A chart's version has neither.
        """
        if access.kind != GIT:
            return {"subject": "", "author": ""}
        at = f"{access.url} {commit}"
        known = self._commits.get(at)
        if known is None:
            try:
                info = self.mirrors.commit_info(access, commit)
                known = {"subject": scrub(info.subject)[:200], "author": scrub(info.author_name)[:100]}
            except Failure:
                known = {"subject": "", "author": ""}
            if len(self._commits) > 500:
                self._commits.clear()
            self._commits[at] = known
        return known

    def target(self, cluster: Cluster, marks: Marks) -> Target:
        """The cluster side of a render. What follows from discovery alone is worked out once per discovery."""
        kinds = cluster.kinds()
        known = self._offers.get(cluster.name)
        if known is None or known[0] is not kinds:
            known = self._offers[cluster.name] = (kinds, scopes_of(kinds), api_versions_of(kinds))
        return Target(kinds, cluster.version(), marks, known[1], known[2])

    def hint(self, hints: Sequence[Hint], most: int = 4) -> None:
        """Wake workers for jobs, by a few messages at most: a worker that is awake finds the others itself."""
        by_queue: dict[str, list[Hint]] = {}
        for hint in hints:
            by_queue.setdefault(hint.queue, []).append(hint)
        chosen = [hint for group in by_queue.values() for hint in group[:most]]
        if chosen:
            self.send(chosen)

    def soon(self, seconds: float) -> datetime:
        """The time that many seconds from now."""
        return self.now() + timedelta(seconds=seconds)

    def close(self) -> None:
        """End child processes and connections."""
        self.flush()
        self.renderers.close()
        self.mirrors.close()
        self.charts.close()
        self.jobs_pool.shutdown(wait=True)
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.store.dispose()
