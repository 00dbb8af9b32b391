"""Reads Driftline's own database: what it knows, without asking its web process and so without costing it anything."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select

from driftline.adapters.settings import Settings
from driftline.adapters.store.engine import Store
from driftline.adapters.store.jobs import JobState
from driftline.adapters.store.tables import application, cluster, delivery, drift, job, render, repository, sync
from driftline.model.errors import Temporary
from driftline.model.health import HealthStatus, SyncStatus


class NotSoon(Exception):
    """Something did not happen in time."""


def until(check: Callable[[], Any], patience: float, what: str, every: float = 0.01) -> float:
    """Wait for a true answer; the time it was seen, seconds since 1970. Raises NotSoon after `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        with suppress(Temporary):
            if check():
                return time.time()
        if time.monotonic() > deadline:
            raise NotSoon(f"waited {patience:g} s until {what}")
        time.sleep(every)


class Look:
    """Questions to the database, each one small read."""

    def __init__(self, settings: Settings) -> None:
        self.store = Store(settings.database)

    def _one(self, query: Any) -> Any:
        with self.store.read() as db:
            return db.execute(query).scalar()

    def well(self, prefix: str) -> int:
        """How many applications whose names begin so are Synced and Healthy, with no operation open."""
        opened = select(sync.c.application_id).where(sync.c.finished_at.is_(None))
        query = select(func.count()).where(
            application.c.name.startswith(prefix),
            application.c.sync_status == SyncStatus.SYNCED,
            application.c.health_status == HealthStatus.HEALTHY,
            application.c.id.not_in(opened),
        )
        return int(self._one(query))

    def states(self) -> dict[str, int]:
        """How many applications are in each state."""
        query = select(application.c.sync_status, application.c.health_status, func.count()).group_by(
            application.c.sync_status, application.c.health_status
        )
        with self.store.read() as db:
            return {f"{one}/{other}": number for one, other, number in db.execute(query)}

    def at(self, name: str, commit: str) -> bool:
        """Whether an application is Synced at a commit, and its operation has ended."""
        opened = select(sync.c.id).where(sync.c.application_id == application.c.id, sync.c.finished_at.is_(None))
        query = select(application.c.revisions).where(
            application.c.name == name, application.c.sync_status == SyncStatus.SYNCED, ~opened.exists()
        )
        return bool((self._one(query) or [""])[0] == commit)

    def drifts(self, key_id: str, after: int, closed: bool = False) -> bool:
        """Whether a drift of an object, newer than the drift `after`, is recorded (`closed`: and has ended)."""
        query = select(func.count()).where(drift.c.key_id == key_id, drift.c.id > after)
        return bool(self._one(query.where(drift.c.ended_at.is_not(None)) if closed else query))

    def newest_drift(self) -> int:
        return int(self._one(select(func.max(drift.c.id))) or 0)

    def renders(self) -> int:
        """The number of the newest stored render: each render of new content takes the next."""
        return int(self._one(select(func.max(render.c.id))) or 0)

    def deliveries(self) -> int:
        return int(self._one(select(func.count()).select_from(delivery)))

    def busy(self) -> bool:
        """Whether some job is being done, or should be by now."""
        query = select(func.count()).where(
            (job.c.state == JobState.LEASED) | ((job.c.state == JobState.QUEUED) & (job.c.run_at <= datetime.now(UTC)))
        )
        return bool(self._one(query))

    def job_open(self, job_id: int) -> bool:
        return bool(self._one(select(func.count()).where(job.c.id == job_id, job.c.state.in_(("queued", "leased")))))

    def job_state(self, job_id: int) -> str:
        return str(self._one(select(job.c.state).where(job.c.id == job_id)))

    def cluster_id(self) -> int:
        return int(self._one(select(func.min(cluster.c.id))))

    def watched_since(self) -> Any:
        """When `watch` last said that it sees everything; None: never."""
        return self._one(select(func.max(cluster.c.watch_bookmark_at)))

    def fetched(self, url_part: str) -> bool:
        """Whether a repository whose URL contains this was fetched."""
        query = select(func.count()).where(repository.c.url.contains(url_part), repository.c.fetched_at.is_not(None))
        return bool(self._one(query))

    def close(self) -> None:
        self.store.dispose()
