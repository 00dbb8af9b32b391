"""Read what an open sync waits for, and put it together for the machine that decides. Called by `stepping`."""

from collections.abc import Sequence
from dataclasses import replace

from driftline.flow import desire, writing
from driftline.flow.children import health_of_children, is_child, seen_children
from driftline.flow.run import Run
from driftline.flow.scan import watched
from driftline.health.table import health_of
from driftline.model.errors import Failure
from driftline.model.health import Health
from driftline.model.objects import Key, Object
from driftline.model.revisions import short
from driftline.model.sync import ResultStatus
from driftline.sync import automation
from driftline.sync.steps import SyncPolicy, SyncSeen
from driftline.sync.steps import standing as standing_objects


def seen(run: Run) -> SyncSeen:
    """What the pure machine decides from."""
    settings, app = run.edges.settings, run.situation.app
    automated = automation.AUTOMATED_RETRY if run.ask.automated else None
    policy = SyncPolicy(wave_timeout=settings.wave_timeout, check_every=settings.health_interval)
    rule = app.retry or automated
    newer = _newer(run)
    return SyncSeen(
        plan=run.plan,
        started_at=run.attempt_at or run.edges.now(),
        results=run.results,
        hooks=run.hooks,
        health=run.health,
        present=run.present,
        standing=standing_objects(run.found.wanted, run.plan) if len(run.plan.waves) > 1 else {},
        newer=newer,
        terminate=run.terminate,
        retries=run.retries,
        retry_at=run.retry_at,
        failure=run.failure,
        policy=replace(policy, retry=rule) if rule else policy,
    )


def _newer(run: Run) -> str:
    """The newest revision that Git wants, if this sync follows Git and carries another one."""
    request = (run.sync.request if run.sync else None) or {}
    if run.kind not in ("git", "self-heal", "manual") or request.get("revisions") or run.ask.dry_run:
        return ""
    if run.kind == "manual" and (run.situation.app.automated is None or run.situation.row.paused):
        # Nobody would sync the newer one: what a person asked for is carried out.
        return ""
    try:
        newest = desire.resolve(run.edges, run.situation)
    except Failure:
        return ""
    mine = tuple(run.found.wish.revisions)
    known = tuple(run.situation.row.revisions or ())
    return short(newest[0]) if newest and newest not in (mine, known) else ""


def refresh(run: Run) -> None:
    """Read what is waited for: hooks, deletions, and the health of what was applied."""
    if run.hooks:
        run.hooks = writing.hook_keeper(run).follow(run.hooks)
    pruned = [key for key, result in run.results.items() if result.status is ResultStatus.PRUNED]
    if pruned and not run.ask.dry_run:
        _look_for_deleted(run, pruned)
    if len(run.plan.waves) > 1:
        _read_health(run)


def _look_for_deleted(run: Run, pruned: Sequence[Key]) -> None:
    children = [key for key in pruned if is_child(key)]
    owned = [key for key in pruned if key in run.situation.owned and not is_child(key)]
    reads = run.found.view.reader.read_owned(owned)
    for failure in reads.failed.values():
        raise failure
    there = {key: body for key, body in reads.found.items() if body is not None}
    uids = {key: run.results[key].uid for key in pruned}
    run.present = {key: _holders(body) for key, body in there.items() if uids[key] in ("", body["metadata"]["uid"])}
    if children:
        with run.edges.store.read() as db:
            left = seen_children(db, run.situation.row.id)
        run.present |= {key: "its own objects are being deleted" for key in children if key.name in left}
    run.gone = {key for key in pruned if key not in run.present}


def _read_health(run: Run) -> None:
    applied = [key for key, result in run.results.items() if result.status is ResultStatus.SYNCED]
    waited = {*applied, *standing_objects(run.found.wanted, run.plan)}
    rows = run.situation.live
    for key in waited:
        row = rows.get(key.id)
        if row is not None and not row.gone:
            run.health[key] = Health(row.health_status, row.health_message)
    children = [key for key in waited if is_child(key)]
    if children:
        with run.edges.store.read() as db:
            found = health_of_children(db, run.situation.row.id)
        run.health.update({key: found.get(key.name) for key in children})
    assert run.situation.cluster is not None
    unwell = [key for key in waited if not is_child(key) and not _well(run.health.get(key))]
    if watched(run.situation.cluster, run.edges):
        # The watch follows what we own. A namespace made on request is nobody's, and has no row.
        unwell = [key for key in unwell if key not in run.found.wanted]
    wanted = run.found.wanted
    versions = {key: str(wanted[key].body["apiVersion"]) if key in wanted else "v1" for key in unwell}
    reads = run.found.view.reader.read(versions)
    for key, body in reads.found.items():
        if body is not None:
            run.health[key] = health_of(body)


def _holders(body: Object) -> str:
    finalizers = body["metadata"].get("finalizers") or ()
    return f"held by {', '.join(finalizers)}" if finalizers else "being deleted"


def _well(health: Health | None) -> bool:
    return health is not None and health.status.badness <= 1
