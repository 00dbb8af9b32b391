"""What beat kicks every two seconds: find due jobs that nobody was told of, and start what its time has come for.

Idempotent: each periodic thing is a slot in the database, so two schedulers, or ten, start it once. Any process may
tick; the workers do when beat's message arrives.
"""

import random
from datetime import timedelta

from sqlalchemy import Connection

from driftline.adapters.store import (
    alerts,
    applications,
    clusters,
    deliveries,
    jobs,
    live,
    outbox,
    renders,
    repositories,
    syncs,
    ticks,
)
from driftline.adapters.taskqueue import Hint
from driftline.flow import signals
from driftline.flow.edges import Edges
from driftline.flow.subjects import NOTIFY_REQUEST, app_request, fetch_request, hints, scan_request

KEEP_DELIVERIES = timedelta(days=14)
KEEP_JOBS = timedelta(days=3)
KEEP_SYNCS = timedelta(days=30)
KEEP_RENDERS = timedelta(days=7)
KEEP_ALERTS = timedelta(days=90)
STRAGGLERS = timedelta(seconds=5)


def tick(edges: Edges) -> None:
    """One round."""
    with edges.store.write() as db:
        lost = jobs.takeover(db, max_attempts=edges.settings.job_attempts)
        wake = [hint for job in lost for hint in _told(db, edges, job)]
        wake += _periodic(db, edges)
        waiting = jobs.due(db, limit=100)
    edges.hint([*wake, *(Hint(each.id, each.queue) for each in waiting)], most=8)


def _told(db: Connection, edges: Edges, job: jobs.Job) -> list[Hint]:
    """People hear of a job that was put aside because it kept losing its worker."""
    if job.state == jobs.JobState.QUARANTINED:
        return signals.quarantined(db, edges, job, job.error)
    return []


def _periodic(db: Connection, edges: Edges) -> list[Hint]:
    seconds = int(edges.now().timestamp())
    wake: list[Hint] = []
    if ticks.take(db, "stragglers", seconds // int(STRAGGLERS.total_seconds())):
        wake += _stragglers(db, edges)
        wake += signals.settle(db, edges)
        if outbox.due_exists(db):
            wake += hints(jobs.request_many(db, [NOTIFY_REQUEST]), NOTIFY_REQUEST.queue)
    if (every := int(edges.settings.drift_interval.total_seconds())) and ticks.take(db, "scan", seconds // every):
        spread = [_later(scan_request(row.id), edges, every) for row in clusters.everything(db)]
        jobs.request_many(db, spread)
    if (every := int(edges.settings.poll_interval.total_seconds())) and ticks.take(db, "poll", seconds // every):
        due = repositories.unfetched_since(db, edges.now() - edges.settings.poll_interval)
        jobs.request_many(db, [_later(fetch_request(number, jobs.Queue.SCAN), edges, every) for number in due])
    if ticks.take(db, "housekeeping", seconds // 3600):
        _housekeeping(db, edges)
    return wake


def _later(request: jobs.Request, edges: Edges, interval: int) -> jobs.Request:
    """The same wish, at a random moment of half an interval, so that hosts and clusters are not asked all at once."""
    delay = random.uniform(0, min(interval / 2, 60))  # noqa: S311 - only spreads the load
    return jobs.Request(request.kind, request.subject, request.queue, edges.soon(delay), request.payload)


def _stragglers(db: Connection, edges: Edges) -> list[Hint]:
    """Applications that wait for something nobody reported: a rollout, a retry, a verdict that has aged."""
    waiting = applications.waiting(db, edges.now() - edges.settings.health_interval, limit=200)
    aged = applications.stale(db, limit=50)
    return hints(jobs.request_many(db, [app_request(number) for number in sorted({*waiting, *aged})]))


def _housekeeping(db: Connection, edges: Edges) -> None:
    now = edges.now()
    deliveries.prune_old(db, now - KEEP_DELIVERIES)
    jobs.prune(db, now - KEEP_JOBS)
    syncs.prune(db, now - KEEP_SYNCS)
    renders.prune_unused(db, now - KEEP_RENDERS)
    outbox.prune(db, now - KEEP_ALERTS)
    alerts.prune(db, now - KEEP_ALERTS)
    for row in clusters.everything(db):
        if row.uid:
            live.prune_unowned(db, row.id, row.uid)
    ticks.prune(db, now - timedelta(days=1))
