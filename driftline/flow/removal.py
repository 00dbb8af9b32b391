"""Delete an application: a sync to nothing, that ends whatever becomes of it.

`cascade` deletes what the application owns and waits until it is gone; `forget` lets its objects be. The row goes last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from driftline.adapters.store import applications, audit, jobs, objects, syncs
from driftline.adapters.store.applications import Changes
from driftline.flow import appstatus, signals
from driftline.flow.declare import cascades
from driftline.flow.deletehooks import DeletionHooks, HookFailed
from driftline.flow.deleting import Survey, delete_objects, survey
from driftline.flow.deletion import Deletion, begun
from driftline.flow.edges import Edges
from driftline.flow.leaving import abandon_hooks, let_go
from driftline.flow.places import everywhere
from driftline.flow.situation import Situation
from driftline.flow.subjects import app_request, hints
from driftline.model.alert import Condition, Signal
from driftline.model.errors import Failure, Temporary
from driftline.model.health import HealthStatus
from driftline.model.objects import Key
from driftline.model.plan import Phase
from driftline.sync import texts
from driftline.sync.confirmation import approves

LOOK_AGAIN = timedelta(seconds=1)
LONGEST_WAIT = timedelta(seconds=30)


@dataclass(frozen=True)
class _Left:
    """Why a deletion is not over, and how far it has come; None: as far as the row says."""

    message: str
    deletion: Deletion | None = None


def step(edges: Edges, situation: Situation) -> None:
    """Take the deletion one step further."""
    mode = situation.row.delete_mode or "cascade"
    if mode == "forget":
        _let_hooks_go(edges, situation)
        _forget(edges, situation)
        return
    try:
        left = _dismantle(edges, situation)
    except Failure as failure:
        _failed(edges, situation, failure)
        return
    if left is not None:
        _not_yet(edges, situation, left)
        return
    _forget(edges, situation)


def _dismantle(edges: Edges, situation: Situation) -> _Left | None:
    """Hooks before, then children and objects, then hooks after. What is left of it, None once all is gone."""
    surveys = [(each, survey(edges, each)) for each in everywhere(situation)]
    unconfirmed = tuple(key for _, made in surveys if made is not None for key in made.unconfirmed)
    if unconfirmed:
        why = f"{texts.deletion_confirmation(unconfirmed)}; app confirm-deletion allows it"
        return _Left(why, replace(Deletion.of(situation.row), waits=unconfirmed))
    hooks = DeletionHooks.of(edges, situation)
    left = hooks.run(Phase.PRE_SYNC) or _delete_all(edges, situation, surveys) or hooks.run(Phase.POST_SYNC)
    if left:
        return _Left(left, replace(hooks.deletion, waits=()))
    hooks.clear_away()
    return None


def _delete_all(edges: Edges, situation: Situation, surveys: Sequence[tuple[Situation, Survey | None]]) -> str:
    """Children and the objects of every cluster side by side; what is left of it all, in words, or empty.

    Raises the first Failure, after everything else was asked for.
    """
    left = _delete_children(edges, situation)
    failed: list[Failure] = []
    try:
        abandon_hooks(edges, situation)
    except Failure as failure:
        failed.append(failure)
    for place, made in surveys:
        try:
            left = (delete_objects(edges, place, made) if made is not None else "") or left
        except Failure as failure:
            failed.append(failure)
    if failed:
        raise failed[0]
    return left


def _let_hooks_go(edges: Edges, situation: Situation) -> None:
    """Hooks that run stay, too, without our finalizer. A cluster that does not answer keeps nobody from forgetting."""
    try:
        let_go(edges, situation)
    except Failure as failure:
        edges.log.warning("hooks not released", application=situation.row.name, reason=failure.message)


def _delete_children(edges: Edges, situation: Situation) -> str:
    """Mark the children as being deleted; what is left of them, in words, or empty."""
    with edges.store.write() as db:
        children = applications.children(db, situation.row.id)
        fresh = applications.by_ids(db, [row.id for row in children if not row.deleting])
        # A child without the finalizer keeps its objects, as it would if it were deleted by itself.
        modes = {number: "cascade" if cascades(row.document) else "forget" for number, row in fresh.items()}
        applications.set_statuses(db, {number: begun(mode, edges.now()) for number, mode in modes.items()})
        ids = jobs.request_many(db, [app_request(number) for number in sorted(modes)])
    edges.hint(hints(ids))
    return f"waiting for the deletion of application {children[0].name}" if children else ""


def _failed(edges: Edges, situation: Situation, failure: Failure) -> None:
    """Something could not be read or deleted, or a hook has failed: the application stays, and says why."""
    condition = appstatus.conditions_json(situation, [("DeletionError", failure.message)], edges.now())
    delay = failure.delay if isinstance(failure, Temporary | HookFailed) else timedelta(0)
    _save(edges, situation, _Left(failure.message), condition, delay)


def _not_yet(edges: Edges, situation: Situation, left: _Left) -> None:
    others = [each for each in situation.row.conditions or () if each["type"] != "DeletionError"]
    _save(edges, situation, left, others)


def _save(
    edges: Edges,
    situation: Situation,
    left: _Left,
    conditions: Sequence[Mapping[str, str]],
    delay: timedelta = timedelta(0),
) -> None:
    """Record what a deletion waits for, ask a person where one has to confirm it, and come back."""
    row = situation.row
    # What has waited for long is looked at less often; a second is for what is over in a moment.
    same = row.health_message == left.message and row.health_changed_at is not None
    since = edges.now() - row.health_changed_at if same and row.health_changed_at else timedelta(0)
    with edges.store.write() as db:
        changes: Changes = {
            "health_status": HealthStatus.PROGRESSING,
            "health_message": left.message,
            "conditions": list(conditions),
            "checked_at": edges.now(),
        }
        if left.deletion is not None and left.deletion != Deletion.of(row):
            changes["deletion"] = left.deletion.to_json()
        applications.set_status(db, row.id, **changes)
        wake = signals.raise_signals(db, edges, _asked(situation, left), row)
        jobs.finish(db, situation.job, run_at=max(delay, min(max(LOOK_AGAIN, since / 10), LONGEST_WAIT)))
    edges.hint(wake)


def _asked(situation: Situation, left: _Left) -> list[Signal]:
    """People are asked once to confirm, and told when that is over."""
    row = situation.row
    before, now = Deletion.of(row), left.deletion
    if now is None or before.waits == now.waits:
        return []
    plan = "\n".join(f"delete {key}" for key in now.waits)
    facts: dict[str, Any] = {"application": row.name, "message": left.message, "plan": plan, "deleting": True}
    if not now.waits and approves(situation.app.annotations, before.at):
        facts["how"] = "a person confirmed the deletion"
    cause = f"deletion {before.at.isoformat()}"
    return [Signal(Condition.PLAN_HELD, f"app:{row.name}", bool(now.waits), cause=cause, facts=facts)]


def _forget(edges: Edges, situation: Situation) -> None:
    """Take the application out of the database: its objects stay in the cluster, without an owner."""
    with edges.store.write() as db:
        forget_rows(db, situation)
        told = signals.all_over(db, edges, situation.row, "the application was deleted")
        audit.append(db, "driftline", "application deleted", f"app:{situation.row.name}")
        jobs.finish(db, situation.job)
        wake = []
        if situation.row.parent_id is not None:
            wake = hints(jobs.request_many(db, [app_request(situation.row.parent_id)]))
    edges.hint([*wake, *told])


def forget_rows(db: Connection, situation: Situation) -> None:
    """Drop everything that the database holds of an application."""
    for uid, keys in _by_cluster(situation).items():
        objects.release_many(db, uid, situation.row.id, keys)
    sync = syncs.open_of(db, situation.row.id)
    if sync is not None:
        syncs.request_terminate(db, situation.row.id)
    applications.remove(db, situation.row.id)


def _by_cluster(situation: Situation) -> dict[str, list[Key]]:
    found: dict[str, list[Key]] = {}
    for row in (*situation.owned.values(), *situation.elsewhere):
        found.setdefault(row.cluster_uid, []).append(row.key)
    return found
