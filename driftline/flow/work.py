"""Take due jobs and do them. Called by the Celery tasks, by beat's tick and by tests.

A message wakes a worker for one job; once awake, the worker goes on with the due jobs of its queue for a moment, so
that a burst of a thousand jobs costs a handful of messages.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import timedelta

from driftline.adapters import metrics
from driftline.adapters.store import jobs
from driftline.adapters.store.jobs import Job, JobState, LeaseLost, Queue
from driftline.adapters.taskqueue import Hint
from driftline.flow import advance, announce, fetch, scan, signals
from driftline.flow.edges import Edges
from driftline.flow.heartbeat import Heart
from driftline.model.errors import Failure, Permanent, Temporary
from driftline.model.scrubbing import scrub

AWAKE = 2.0
"""Seconds that a worker goes on after its message's job."""

OCCUPIED = 240.0
"""Seconds beyond that in which a worker that is kept by a long job takes others; less than a task's time limit."""

LOOK = 0.2
"""Seconds between two looks for due jobs while some run."""

PAUSE = 0.05
"""Seconds after a look that found too little in which ended jobs cause no other, as long as some run."""

Handler = Callable[[Job, Edges], tuple[int, ...]]
"""Does one leased job, ends it, and returns jobs that the same worker should go on with at once."""

HEART = Heart()
"""Of this process. A fork starts with none running, because jobs run in its children only."""

HANDLERS: Mapping[str, Handler] = {
    "fetch": fetch.run,
    "app": advance.run,
    "scan": scan.run,
    "notify": announce.run,
}


def drain(edges: Edges, queue: str, first: int | None = None, awake: float = AWAKE) -> int:
    """Do the job `first` if it is due, then due jobs of `queue` until `awake` seconds are over. Returns how many.

    A few jobs run at once, in threads: most of a job is waiting for an API server or a Git host, and a long one then
    keeps nobody else waiting.
    """
    until = time.monotonic() + awake
    latest = until + OCCUPIED
    at_once = edges.settings.jobs_at_once
    running: set[Future[tuple[int, ...]]] = set()
    wanted = [first] if first is not None else []
    done = 0
    rested = 0.0
    while True:
        # What somebody waits for begins before the look for what else there is.
        running |= {
            edges.jobs_pool.submit(perform, job, edges) for number in wanted for job in _claim_first(edges, number)
        }
        wanted = []
        now, free = time.monotonic(), at_once - len(running)
        # A process with a long job is not free for the next message: it goes on taking jobs beside that one.
        if now < (latest if running else until) and free >= (at_once + 1) // 2 and (not running or now >= rested):
            due = _claim_due(edges, queue, free)
            rested = now if len(due) == free else now + PAUSE
            running |= {edges.jobs_pool.submit(perform, job, edges) for job in due}
        if not running:
            break
        ended, running = wait(running, LOOK, FIRST_COMPLETED)
        done += len(ended)
        wanted = [number for future in ended for number in future.result()]
    _pass_on(edges, queue)
    return done


def perform(job: Job, edges: Edges) -> tuple[int, ...]:
    """Do one leased job. Whatever goes wrong ends as a row: again later, or quarantined and people told."""
    going_on = _do(job, edges)
    if job.queue == Queue.SCAN:
        _hand_over(job, edges)
    return going_on


def _hand_over(job: Job, edges: Edges) -> None:
    """Wake a fast worker for a job that somebody has asked for urgently while we had it: none was told then."""
    try:
        with edges.store.read() as db:
            row = jobs.get(db, job.id)
    except Failure as away:
        # The tick finds the job.
        edges.log.warning("job not looked at again", job=job.id, reason=away.message)
        return
    if row is not None and row.state == JobState.QUEUED and row.queue != job.queue:
        edges.hint([Hint(row.id, row.queue)])


def _do(job: Job, edges: Edges) -> tuple[int, ...]:
    handler = HANDLERS.get(job.kind)
    try:
        if handler is None:
            # An older worker during an upgrade: the job stays for one that knows it.
            raise Temporary(f"job {job.kind}: this version does not know it; a newer worker will do it")
        with HEART.beating(job, edges):
            going_on = handler(job, edges)
        metrics.job_ended(job.kind, "done")
        return going_on
    except LeaseLost as lost:
        metrics.job_ended(job.kind, "lost")
        edges.log.info("lease lost", job=job.id, kind=job.kind, subject=job.subject, reason=lost.message)
    except Failure as failure:
        _record(job, failure, edges)
    except Exception as error:
        edges.log.exception("job failed", job=job.id, kind=job.kind, subject=job.subject)
        edges.report(error)
        _record(job, Temporary(f"job {job.kind} of {job.subject}: {type(error).__name__}: {scrub(str(error))}"), edges)
    return ()


def _record(job: Job, failure: Failure, edges: Edges) -> None:
    """Note a failure: a later attempt, or quarantine with an alert from the same transaction."""
    delay = failure.delay if isinstance(failure, Temporary) else timedelta(seconds=60)
    backoff = min(delay * 2 ** min(job.attempts, 5), timedelta(minutes=10))
    attempts = edges.settings.job_attempts if isinstance(failure, Temporary) else 1
    metrics.job_ended(job.kind, "failed")
    try:
        with edges.store.write() as db:
            state = jobs.fail(db, job, failure.message, backoff, attempts)
            hints = signals.quarantined(db, edges, job, failure.message) if state == JobState.QUARANTINED else []
    except LeaseLost:
        return
    except Failure as away:
        # The database is away as well: the lease runs out and the tick finds the job.
        edges.log.warning("failure not recorded", job=job.id, reason=away.message)
        return
    level = "error" if isinstance(failure, Permanent) or state == JobState.QUARANTINED else "warning"
    getattr(edges.log, level)("job failed", job=job.id, kind=job.kind, subject=job.subject, reason=failure.message)
    edges.hint(hints)


def _claim_first(edges: Edges, first: int | None) -> list[Job]:
    if first is None:
        return []
    with edges.store.write() as db:
        job = jobs.claim(db, first, edges.owner, edges.settings.job_lease)
    return [job] if job else []


def _claim_due(edges: Edges, queue: str, most: int) -> list[Job]:
    with edges.store.read() as db:
        if not jobs.waiting(db, queue, 1):
            # Mostly nothing waits: find out without queueing among the writers.
            return []
    with edges.store.write() as db:
        return jobs.claim_due(db, queue, edges.owner, edges.settings.job_lease, most)


def _pass_on(edges: Edges, queue: str) -> None:
    """Wake a worker for what is still due, so that this task may end."""
    with edges.store.read() as db:
        waiting = jobs.waiting(db, queue)
    edges.hint([Hint(number, queue) for number in waiting[:1]])
