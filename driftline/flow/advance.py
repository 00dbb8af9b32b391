"""Look at one application: bring its status up to date, start a sync if one is due, take an open sync further.

One step at a time: nobody sleeps while a rollout goes on. What is waited for is stored, and whoever sees it change
asks for the next look.
"""

from dataclasses import replace
from datetime import timedelta

from driftline.adapters.store import applications, jobs
from driftline.adapters.store.applications import Changes
from driftline.adapters.store.jobs import Job
from driftline.flow import appstatus, former, looking, reach, removal, signals, standing, stepping
from driftline.flow.charts import NotFetched, RepositoryAway
from driftline.flow.dependencies import Cold
from driftline.flow.desire import Wish
from driftline.flow.edges import Edges
from driftline.flow.situation import Situation, load
from driftline.flow.subjects import fetch_request, hints
from driftline.model.alert import Condition, Signal
from driftline.model.cluster import ClusterUnreachable
from driftline.model.errors import Failure, Permanent, Temporary
from driftline.model.health import HealthStatus, SyncStatus

COME_BACK = timedelta(seconds=30)
"""When to look again at an application whose cluster or repository does not answer, if nobody says so earlier."""


def run(job: Job, edges: Edges) -> tuple[int, ...]:
    """Do one look."""
    situation = load(job, edges)
    if situation is None:
        with edges.store.write() as db:
            jobs.finish(db, job)
        return ()
    if situation.row.deleting:
        removal.step(edges, situation)
    elif (sync := situation.sync) is not None and sync.kind == former.KIND:
        if former.only_waits(situation, sync):
            _look(edges, replace(situation, sync=None, former_sync=sync))
        else:
            former.go_on(edges, situation, sync)
    elif situation.cluster is not None and situation.app.left_alone and situation.sync is None:
        _leave_alone(edges, situation)
    else:
        _look(edges, situation)
    return ()


def _leave_alone(edges: Edges, situation: Situation) -> None:
    """Its declaration asks for no look. What is known of it ages, and no verdict of it comes due."""
    with edges.store.write() as db:
        applications.set_status(db, situation.row.id, verdict_until=None)
        jobs.finish(db, situation.job)


def _look(edges: Edges, situation: Situation) -> None:
    if situation.cluster is None:
        _no_cluster(edges, situation)
        return
    if reach.known_away(edges, situation.cluster):
        _stay_away(edges, situation)
        return
    if _awaits_fetch(situation):
        with edges.store.write() as db:
            jobs.finish(db, situation.job)
        return
    try:
        seen = looking.view(edges, situation)
    except Failure as failure:
        cluster_away(edges, situation, failure)
        return
    if situation.cluster.failing_since is not None:
        with edges.store.write() as db:
            wake = reach.back(db, edges, situation.cluster, seen.uid, seen.target.version)
        edges.hint(wake)
    _compare(edges, situation, seen)


def _compare(edges: Edges, situation: Situation, seen: looking.View) -> None:
    try:
        wish = looking.render(edges, situation, seen)
    except NotFetched as missing:
        _fetch_first(edges, situation, missing)
    except Cold:
        with edges.store.write() as db:
            jobs.move(db, situation.job, jobs.Queue.SCAN)
        edges.hint(hints((situation.job.id,), jobs.Queue.SCAN))
    except ClusterUnreachable as failure:
        cluster_away(edges, situation, failure)
    except Failure as failure:
        _cannot_tell(edges, situation, failure)
    else:
        _go_on(edges, situation, seen, wish)


def _go_on(edges: Edges, situation: Situation, seen: looking.View, wish: Wish) -> None:
    try:
        found = looking.look(edges, situation, seen, wish)
        if situation.sync is not None:
            stepping.go_on(edges, found, situation.sync)
        else:
            standing.decide(edges, found)
    except ClusterUnreachable as failure:
        cluster_away(edges, situation, failure)
    except Permanent as failure:
        if situation.sync is None:
            raise
        stepping.fail_unplanned(edges, situation, situation.sync, failure.message)


def _awaits_fetch(situation: Situation) -> bool:
    """Whether a person has asked for a sync of the newest commit, and the repository was not asked for it since."""
    sync = situation.sync
    if sync is None or sync.stage != "requested" or sync.render_id is not None or (sync.request or {}).get("only"):
        return False
    return any(row.updated_at < sync.started_at for row in situation.repositories)


def _stay_away(edges: Edges, situation: Situation) -> None:
    """The cluster did not answer others a moment ago: leave it alone for a while, and let the verdict age."""
    with edges.store.write() as db:
        applications.set_status(db, situation.row.id, **appstatus.aged(situation, edges))
        jobs.finish(db, situation.job, run_at=edges.now() + COME_BACK)


def _fetch_first(edges: Edges, situation: Situation, missing: NotFetched) -> None:
    """What is wanted of a repository was never fetched: that comes first, and asks for this application again."""
    wanted = {missing.repository_id, *(row.id for row in situation.repositories if row.fetched_at is None)}
    with edges.store.write() as db:
        # In the order of a fetch, which asks for looks and ends then: the two may run side by side.
        jobs.finish(db, situation.job)
        ids = jobs.request_many(db, [fetch_request(number, jobs.Queue.SCAN) for number in sorted(wanted)])
    edges.hint(hints(ids, jobs.Queue.SCAN))


def _no_cluster(edges: Edges, situation: Situation) -> None:
    """The destination is no registered cluster (yet)."""
    destination = situation.app.destination
    meant = destination.name or destination.server or "none"
    message = f"spec.destination: cluster {meant} is not registered; add it with driftline cluster add"
    with edges.store.write() as db:
        applications.set_status(
            db,
            situation.row.id,
            sync_status=SyncStatus.UNKNOWN,
            health_status=HealthStatus.UNKNOWN,
            health_message=message,
            conditions=appstatus.conditions_json(situation, [("InvalidSpecError", message)], edges.now()),
            checked_at=edges.now(),
        )
        jobs.finish(db, situation.job)


def cluster_away(edges: Edges, situation: Situation, failure: Failure) -> None:
    """The cluster does not answer: its verdicts stay and age, people hear of the cluster once, nothing is deleted."""
    assert situation.cluster is not None
    delay = failure.delay if isinstance(failure, Temporary) else COME_BACK
    changes = appstatus.aged(situation, edges)
    changes["conditions"] = appstatus.conditions_json(situation, [("ComparisonError", failure.message)], edges.now())
    with edges.store.write() as db:
        wake = reach.away(db, edges, situation.cluster, failure, situation.row.name)
        applications.set_status(db, situation.row.id, **changes)
        jobs.finish(db, situation.job, run_at=edges.now() + max(delay, COME_BACK))
    edges.hint(wake)


def _cannot_tell(edges: Edges, situation: Situation, failure: Failure) -> None:
    """Git cannot be rendered or the API server refuses us: Unknown, with the reason; an open sync fails with it."""
    if situation.sync is not None and not isinstance(failure, Temporary):
        stepping.fail_unplanned(edges, situation, situation.sync, failure.message)
        return
    temporary = isinstance(failure, Temporary)
    changes: Changes = appstatus.aged(situation, edges) if temporary else {"sync_status": SyncStatus.UNKNOWN}
    changes["conditions"] = appstatus.conditions_json(situation, [("ComparisonError", failure.message)], edges.now())
    changes["checked_at"] = edges.now()
    with edges.store.write() as db:
        applications.set_status(db, situation.row.id, **changes)
        wake = signals.raise_signals(db, edges, [] if temporary else [_unknown(situation, failure)])
        run_at = edges.now() + max(failure.delay, COME_BACK) if isinstance(failure, Temporary) else None
        if isinstance(failure, RepositoryAway):
            # The repository's own job comes back, and asks for this application when it has something.
            run_at = None
        jobs.finish(db, situation.job, run_at=run_at)
    edges.log.warning("comparison failed", application=situation.row.name, reason=failure.message)
    edges.hint(wake)


def _unknown(situation: Situation, failure: Failure) -> Signal:
    facts = {"application": situation.row.name, "message": failure.message}
    return Signal(Condition.SYNC_UNKNOWN, f"app:{situation.row.name}", True, cause=failure.message[:200], facts=facts)
