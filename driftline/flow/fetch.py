"""Fetch one repository, once for everybody, and find whom the news concern.

A new commit costs one fetch, one look at the tree ids of everything that applications read, and a sync of those
applications whose inputs changed. In a monorepo of a thousand applications the other 999 get a new revision in one
statement and nothing else.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from driftline.adapters.git import Fetched
from driftline.adapters.store import applications, jobs, repositories
from driftline.adapters.store.applications import SourceUse
from driftline.adapters.store.jobs import Job
from driftline.adapters.store.repositories import RepositoryRow
from driftline.desired import revision
from driftline.desired.inputs import Inputs, unchanged
from driftline.desired.revision import Tracked
from driftline.flow import access, signals
from driftline.flow.commits import commit_of
from driftline.flow.edges import Edges
from driftline.flow.subjects import app_request, hints, number_of
from driftline.model.access import RepositoryAccess
from driftline.model.alert import Condition, Signal
from driftline.model.errors import Failure, Permanent, Temporary

KEEP_TRYING = timedelta(minutes=10)
"""Most time between two attempts at a repository that does not answer."""

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
    try:
        fetched = edges.mirrors.fetch(credentials, wanted_refs(uses))
    except Failure as failure:
        return _failed(job, row, uses, failure, edges)
    affected, moved = concerned(uses, fetched, credentials, edges)
    affected = sorted({*affected, *_asked(uses)})
    if not affected and (row.refs, row.head) == (dict(fetched.refs), fetched.head):
        _rest(job, edges)
    with edges.store.write() as db:
        repositories.set_fetched(db, row.id, dict(fetched.refs), fetched.head)
        applications.set_statuses(db, {number: {"revisions": list(found)} for number, found in moved.items()})
        ids = jobs.request_many(db, [app_request(number) for number in affected])
        wake = signals.raise_signals(db, edges, [_reachable(row)]) if row.failing_since else []
        jobs.finish(db, job)
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


def wanted_refs(uses: Sequence[SourceUse]) -> list[str]:
    """Every ref that some application follows, HEAD if there is none."""
    found: set[str] = set()
    for use in uses:
        # What one application asks for wrongly is said at that application; the others are fetched for.
        with suppress(Permanent):
            found |= set(revision.wanted_refs(use.target_revision, use.tag_prefix))
    return sorted(found) or ["HEAD"]


def concerned(
    uses: Sequence[SourceUse], fetched: Fetched, credentials: RepositoryAccess, edges: Edges
) -> tuple[list[int], Mapping[int, tuple[str, ...]]]:
    """Applications to look at, and new revisions of those whose inputs a new commit left alone.

    An application that was never rendered, or whose revision cannot be resolved, has to be looked at.
    """
    affected: set[int] = set()
    candidates: dict[str, list[tuple[SourceUse, Inputs]]] = defaultdict(list)
    for use in uses:
        try:
            commit = commit_of(edges, credentials, fetched, Tracked(use.target_revision, use.tag_prefix))
        except Permanent:
            affected.add(use.application_id)
            continue
        recorded = recorded_inputs(use)
        if recorded is None:
            affected.add(use.application_id)
        elif commit != _known(use):
            candidates[commit].append((use, recorded))
    moved: dict[int, tuple[str, ...]] = {}
    for commit, group in candidates.items():
        tree = edges.mirrors.tree(credentials, commit)
        oids = tree.oids({path for _, inputs in group for path in inputs.paths()})
        for use, inputs in group:
            if not unchanged(inputs, oids, commit=commit):
                affected.add(use.application_id)
            else:
                revisions = list(moved.get(use.application_id) or use.revisions or [])
                revisions[use.position] = commit
                moved[use.application_id] = tuple(revisions)
    return sorted(affected), {number: found for number, found in moved.items() if number not in affected}


def recorded_inputs(use: SourceUse) -> Inputs | None:
    """What the application's last render read from this source; None if its declaration changed since, or never."""
    recorded = use.inputs or {}
    if recorded.get("generation") != use.generation or len(recorded.get("items", ())) <= use.position:
        return None
    return Inputs.from_json(recorded["items"][use.position])


def _known(use: SourceUse) -> str:
    return use.revisions[use.position] if use.revisions and len(use.revisions) > use.position else ""


def _asked(uses: Sequence[SourceUse]) -> set[int]:
    """Applications whose sync a person has asked for: it waits for this fetch, however it ends."""
    return {use.application_id for use in uses if use.sync_requested}


def _failed(job: Job, row: RepositoryRow, uses: Sequence[SourceUse], failure: Failure, edges: Edges) -> tuple[int, ...]:
    """Note the failure, tell people once for the repository, and come back later; a dead host is not polled faster."""
    delay = failure.delay if isinstance(failure, Temporary) else KEEP_TRYING
    tried = 0 if row.failing_since is None else int((edges.now() - row.failing_since).total_seconds())
    with edges.store.write() as db:
        repositories.set_failed(db, row.id, failure.message)
        wake = signals.raise_signals(db, edges, [_unreachable(row, failure)])
        # Those that were never compared have nothing else that says why.
        new = {use.application_id for use in uses if not use.inputs}
        ids = jobs.request_many(db, [app_request(number) for number in sorted({*new, *_asked(uses)})])
        jobs.finish(db, job, run_at=edges.now() + min(KEEP_TRYING, max(delay, timedelta(seconds=tried / 2))))
    edges.log.warning("fetch failed", repository=row.url, reason=failure.message)
    edges.hint([*hints(ids[1:]), *wake])
    return ids[:1]


def _unreachable(row: RepositoryRow, failure: Failure) -> Signal:
    facts = {"repository": row.url, "message": failure.message}
    return Signal(Condition.REPOSITORY_UNREACHABLE, f"repository:{row.url_normal}", active=True, facts=facts)


def _reachable(row: RepositoryRow) -> Signal:
    facts = {"repository": row.url}
    return Signal(Condition.REPOSITORY_UNREACHABLE, f"repository:{row.url_normal}", active=False, facts=facts)
