"""Keeps the leases of long jobs: a clone of minutes must not be taken for a dead worker."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from driftline.adapters.store import jobs
from driftline.adapters.store.jobs import Job, LeaseLost
from driftline.flow.edges import Edges
from driftline.model.errors import Failure

LONGEST = 900.0
"""Seconds after which a job's lease is no longer kept: what hangs that long is taken over."""


@dataclass
class Heart:
    """The running jobs of one process, and the thread that renews their leases while there are any."""

    running: dict[int, tuple[Job, float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    thread: threading.Thread | None = None

    @contextmanager
    def beating(self, job: Job, edges: Edges) -> Iterator[None]:
        """Keep the lease of `job` while the body runs."""
        with self.lock:
            self.running[job.id] = (job, time.monotonic())
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self._run, args=(edges,), name="heartbeat", daemon=True)
                self.thread.start()
        try:
            yield
        finally:
            with self.lock:
                self.running.pop(job.id, None)

    def _run(self, edges: Edges) -> None:
        every = edges.settings.job_lease.total_seconds() / 4
        while True:
            time.sleep(every)
            now = time.monotonic()
            with self.lock:
                if not self.running:
                    self.thread = None
                    return
                old = [job for job, since in self.running.values() if every <= now - since < LONGEST]
            for job in old:
                self._renew(job, edges)

    def _renew(self, job: Job, edges: Edges) -> None:
        try:
            with edges.store.write() as db:
                jobs.renew(db, job, edges.settings.job_lease)
        except LeaseLost:
            # It ended just now, or someone took it over: the job itself finds out at its next write.
            with self.lock:
                self.running.pop(job.id, None)
        except Failure as failure:
            edges.log.warning("lease not renewed", job=job.id, reason=failure.message)
