"""Fetch one repository, once for everybody, and find whom the news concern.

A new commit costs one fetch, a new version of a chart one look into its repository and one pull; then one look at the
tree ids of everything that applications read, and a sync of those applications whose inputs changed. In a monorepo of
a thousand applications the other 999 get a new revision in one statement and nothing else.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection

from driftline.adapters.store import applications, jobs, repositories
from driftline.adapters.store.applications import Changes, SourceUse
from driftline.adapters.store.jobs import Job, Queue
from driftline.adapters.store.repositories import RepositoryRow
from driftline.adapters.taskqueue import Hint
from driftline.desired.urls import GIT, shown_url
from driftline.flow import access, charts, news, signals
from driftline.flow.charts import Looked
from driftline.flow.edges import Edges
from driftline.flow.subjects import app_request, hints, number_of
from driftline.model.alert import Condition, Signal
from driftline.model.errors import Failure, Temporary

KEEP_TRYING = timedelta(minutes=10)
"""Most time between two attempts at a repository that does not answer."""

FEW = 5
"""Most charts of one repository that a fast worker looks at."""

REST = 0.2
"""Seconds between two fetches of a repository that is announced all the time and has nothing new."""


def run(job: Job, edges: Edges) -> tuple[int, ...]:
    """Do one fetch job; return the jobs to go on with at once.

    A repository that fails keeps what it had: nothing is deleted, nothing becomes unknown.
    """
    repository_id = number_of(job)
    with edges.store.read() as db:
        row = repositories.by_id(db, repository_id)
        uses = applications.of_repository(db, repository_id)
        credentials = access.repository(db, edges, row) if row else None
    if row is None or credentials is None:
        with edges.store.write() as db:
            jobs.finish(db, job)
        return ()
    if row.kind != GIT and job.queue == Queue.FAST and len({use.chart for use in uses}) > FEW:
        # Each chart of a registry is a question of its own: a long look keeps no push of others waiting.
        with edges.store.write() as db:
            jobs.move(db, job, Queue.SCAN)
        edges.hint(hints((job.id,), Queue.SCAN))
        return ()
    try:
        fetched = edges.mirrors.fetch(credentials, news.wanted_refs(uses)) if row.kind == GIT else None
        looked = charts.look(edges, row, uses, credentials) if row.kind != GIT else Looked(())
    except Failure as failure:
        with edges.store.write() as db:
            ids, wake = _failed(db, job, row, uses, failure, edges)
        edges.hint([*hints(ids[1:]), *wake])
        return ids[:1]
    if fetched is not None:
        found = news.git_news(row, uses, fetched, credentials, edges)
    else:
        found = news.chart_news(row, uses, looked, edges)
    affected = sorted({*found.affected, *_asked(uses)})
    if not affected and not found.fresh:
        _rest(job, edges)
    with edges.store.write() as db:
        found.record(db)
        moved = {number: Changes(revisions=list(revisions)) for number, revisions in found.moved.items()}
        applications.set_statuses(db, moved)
        ids = jobs.request_many(db, [app_request(number) for number in affected])
        if looked.failure is not None:
            more, wake = _failed(db, job, row, uses, looked.failure, edges)
            ids = tuple(dict.fromkeys((*ids, *more)))
        else:
            wake = signals.raise_signals(db, edges, [_reachable(row)]) if row.failing_since else []
            jobs.finish(db, job, run_at=timedelta(0) if looked.more else None)
    # The usual push concerns one application: going on with it here saves a message and a worker's wake-up.
    edges.hint([*hints(ids[1:]), *wake])
    return ids[:1]


def _rest(job: Job, edges: Edges) -> None:
    """Wait a moment if news were announced again while there were none.

    A host that redelivers in a storm is answered by a few fetches a second instead of one after another.
    """
    with edges.store.read() as db:
        now = jobs.get(db, job.id)
    if now is not None and now.wanted > job.wanted:
        edges.pause(REST)


def _asked(uses: Sequence[SourceUse]) -> set[int]:
    """Applications whose sync a person has asked for: it waits for this fetch, however it ends."""
    return {use.application_id for use in uses if use.sync_requested}


def _failed(
    db: Connection, job: Job, row: RepositoryRow, uses: Sequence[SourceUse], failure: Failure, edges: Edges
) -> tuple[tuple[int, ...], Sequence[Hint]]:
    """Note the failure, tell people once for the repository, and come back later; a dead host is not polled faster.

    Returns the jobs of applications that have to say why, and whom to wake.
    """
    delay = failure.delay if isinstance(failure, Temporary) else KEEP_TRYING
    tried = 0 if row.failing_since is None else int((edges.now() - row.failing_since).total_seconds())
    repositories.set_failed(db, row.id, failure.message)
    wake = signals.raise_signals(db, edges, [_unreachable(row, failure)])
    # Those that were never compared have nothing else that says why.
    new = {use.application_id for use in uses if not use.inputs}
    ids = jobs.request_many(db, [app_request(number) for number in sorted({*new, *_asked(uses)})])
    jobs.finish(db, job, run_at=edges.now() + min(KEEP_TRYING, max(delay, timedelta(seconds=tried / 2))))
    edges.log.warning("fetch failed", repository=shown_url(row.url), reason=failure.message)
    return ids, wake


def _unreachable(row: RepositoryRow, failure: Failure) -> Signal:
    facts = {"repository": shown_url(row.url), "message": failure.message}
    return Signal(Condition.REPOSITORY_UNREACHABLE, f"repository:{row.url_normal}", active=True, facts=facts)


def _reachable(row: RepositoryRow) -> Signal:
    facts = {"repository": shown_url(row.url)}
    return Signal(Condition.REPOSITORY_UNREACHABLE, f"repository:{row.url_normal}", active=False, facts=facts)
