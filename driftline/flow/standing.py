"""Record how an application stands after a look, and decide whether a sync has to start."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from driftline.adapters.store import applications, drifts, jobs, live, objects, syncs
from driftline.adapters.store.applications import Changes
from driftline.adapters.store.live import LiveRow
from driftline.adapters.store.objects import ObjectChanges, ObjectState
from driftline.adapters.taskqueue import Hint
from driftline.drift.projection import owned_digest
from driftline.flow import appstatus, drifting, former, observe, signals, stepping, wellbeing
from driftline.flow.children import is_child
from driftline.flow.edges import Edges
from driftline.flow.looking import Look
from driftline.flow.memory import Memory
from driftline.model.alert import Condition, Signal
from driftline.model.drift import VerdictState
from driftline.model.health import Health, SyncStatus
from driftline.model.objects import Key
from driftline.model.revisions import short
from driftline.sync.automation import AutoSeen, Start, Stay, drift_fingerprint, should_sync
from driftline.sync.fights import Fight, Flip, fights

NOT_IN_GIT = "Git does not name it any more"

UNREAD = timedelta(seconds=30)
"""When to look again at objects that could not be read."""

DRY_RUN_LASTS = timedelta(hours=6)
"""How long a verdict that a dry run gave is trusted: admission rules are no part of what it was computed from."""


def decide(edges: Edges, found: Look) -> None:
    """Record the look; start an automated sync if one is due, else end the job."""
    situation = found.situation
    memory = Memory.of(situation.row)
    found_fights = _fights(edges, found, memory)
    memory = memory.with_fights(found.target, found_fights)
    seen = auto_seen(found, memory, found_fights, edges.now())
    choice = should_sync(seen, edges.now())
    if isinstance(choice, Start) and choice.only is not None and choice.only <= {key for key, _ in choice.leave}:
        choice = Stay("; ".join(str(fight) for fight in found_fights))
    if isinstance(choice, Start):
        if situation.former_sync is not None:
            with edges.store.write() as db:
                syncs.give_way(db, situation.row.id, former.KIND)
        stepping.start(edges, found, choice, memory)
        return
    waits = situation.former_sync is not None
    place = None if waits or not situation.elsewhere else former.due(edges, found, _prunes_former(found, edges.now()))
    with edges.store.write() as db:
        wake = record(db, edges, found, memory, error=choice.error)
        if place is None:
            jobs.finish(db, situation.job, run_at=_again(choice, found, edges))
    edges.hint(wake)
    if place is not None:
        former.start(edges, found, place, memory)


def _prunes_former(found: Look, now: datetime) -> bool:
    """Whether what is left in a former cluster is to be pruned: by automation, or because a person has said so."""
    automated = found.situation.app.automated
    pruning = automated is not None and automated.prune and not _paused(found.situation.row.paused, now)
    return pruning or appstatus.asked_to_prune_former(found)


def auto_seen(found: Look, memory: Memory, found_fights: Sequence[Fight], now: datetime) -> AutoSeen:
    """What the decision about an automated sync depends on."""
    row = found.situation.row
    differences = found.differences
    paused = row.paused
    return AutoSeen(
        automated=found.situation.app.automated,
        status=found.status.status,
        target=found.target,
        revision=short(found.wish.revisions[0] if found.wish.revisions else ""),
        differences=differences,
        wanted=len(found.wanted),
        last=memory.last,
        running=found.situation.sync is not None,
        deleting=row.deleting,
        blocked=_paused(paused, now),
        heal=memory.heal_of(drift_fingerprint(differences)),
        fights=tuple(found_fights),
        pin=memory.pin,
    )


def _paused(paused: Mapping[str, Any] | None, now: datetime) -> str:
    """Why automation may not start: a person has paused it, and the pause has not run out. Empty if it may."""
    until = _until(paused)
    if not paused or (until is not None and now >= until):
        return ""
    return f"paused by {paused['by']}: {paused.get('why') or 'no reason given'}"


def _until(paused: Mapping[str, Any] | None) -> datetime | None:
    text_ = (paused or {}).get("until")
    return datetime.fromisoformat(text_) if text_ else None


def _again(choice: Stay, found: Look, edges: Edges) -> datetime | None:
    """When to look again by itself: the first of the times that may change the choice, or what is known."""
    unread = edges.now() + UNREAD if found.status.unknown or found.situation.elsewhere else None
    moments = (choice.again_at, _until(found.situation.row.paused), unread)
    return min((at for at in moments if at is not None and at > edges.now()), default=None)


def _fights(edges: Edges, found: Look, memory: Memory) -> tuple[Fight, ...]:
    """Fields that others keep changing back: those known for this target, and those that show now."""
    known = {(each.key, each.path): each for each in memory.fights_of(found.target)}
    if not found.drifted or found.situation.app.automated is None or not found.situation.app.automated.self_heal:
        return tuple(known.values())
    with edges.store.read() as db:
        flips = [
            Flip(Key.parse(row.key_id), row.path, row.manager, row.found_at)
            for row in drifts.since(db, found.situation.row.id, edges.now() - timedelta(minutes=10))
        ]
        open_now = {(Key.parse(row.key_id), row.path) for row in drifts.open_of(db, found.situation.row.id)}
    now_found = [
        Flip(key, field.path, field.author.manager, edges.now())
        for key, verdict in found.drifted.items()
        for field in verdict.fields
    ]
    fresh = [flip for flip in now_found if (flip.key, flip.path) not in open_now]
    for fight in fights([*flips, *fresh], edges.now()):
        known.setdefault((fight.key, fight.path), fight)
    return tuple(known.values())


def record(
    db: Connection,
    edges: Edges,
    found: Look,
    memory: Memory,
    error: str = "",
    render_id: int | None = None,
) -> list[Hint]:
    """Save what a look found (verdicts, drift, status, health) and tell people, in the caller's transaction."""
    situation = found.situation
    now = edges.now()
    wake = record_objects(db, edges, found)
    health = _health(found)
    pairs = [(each.type, each.message) for each in found.status.conditions] + found.left_behind
    if error:
        pairs.append(("SyncError", error))
    changes: Changes = {
        "sync_status": found.shown(found.status.status),
        "revisions": list(found.wish.revisions),
        "conditions": appstatus.conditions_json(situation, pairs, now),
        "checked_at": now,
        "summary": appstatus.summary_of(edges, found),
        "verdict_until": _verdict_until(found, now),
    }
    if found.wish.inputs:
        # One pair: the next look takes the render for that of these inputs. What a rollback runs has none.
        changes["inputs"], changes["render_id"] = appstatus.inputs_json(found), render_id or found.wish.render_id
    if (health.status, health.message) != (situation.row.health_status, situation.row.health_message):
        changes["health_status"], changes["health_message"] = health.status, health.message
    if memory != Memory.of(situation.row):
        changes["self_heal"] = memory.to_json()
    applications.set_status(db, situation.row.id, **changes)
    raised = [*wellbeing.signals_of(situation.row, health), *_signals(edges, found, memory)]
    if render_id is not None:
        # A plan is about to run: what it repairs is told now, everything else when it has ended.
        raised = [each for each in raised if each.active]
    return [*wake, *signals.raise_signals(db, edges, raised, situation.row)]


def _verdict_until(found: Look, now: datetime) -> datetime | None:
    """When the first of the verdicts that rest on a dry run has to be renewed."""
    lasting = [
        until
        for key in found.compared.settled
        if (row := found.situation.owned.get(key)) is not None and (until := row.verdict_until) is not None
    ]
    fresh = any(verdict.in_sync and verdict.reason for verdict in found.compared.verdicts.values())
    return min([*lasting, *([now + DRY_RUN_LASTS] if fresh else [])], default=None)


def record_objects(db: Connection, edges: Edges, found: Look) -> list[Hint]:
    """Save verdicts of objects that were looked at, what was seen of them, and drift as intervals."""
    situation, now = found.situation, edges.now()
    assert situation.cluster is not None
    changes: dict[Key, ObjectChanges] = {}
    for key, verdict in found.compared.verdicts.items():
        row = situation.owned.get(key)
        if row is None:
            continue
        changed: ObjectChanges = {"verdict": verdict.state, "reason": verdict.reason}
        body = found.compared.bodies.get(key)
        if body is not None:
            changed["live_digest"] = owned_digest(body)
        if verdict.in_sync and not (key in found.behind and verdict.state is VerdictState.CLAIM):
            changed["desired_digest"] = found.wanted[key].digest
            changed["verdict"] = VerdictState.SYNCED if verdict.state is VerdictState.SYNCED else verdict.state
            changed["verdict_until"] = now + DRY_RUN_LASTS if verdict.reason else None
        changes[key] = changed
    for key in found.extras:
        if situation.owned[key].verdict is not VerdictState.EXTRA and not is_child(key):
            changes[key] = {"verdict": VerdictState.EXTRA, "reason": NOT_IN_GIT}
    objects.save_many(db, found.view.uid, situation.row.id, changes)
    bodies = {key: body for key, body in found.compared.bodies.items() if key in situation.owned}
    sightings = [observe.sighting(key, body) for key, body in bodies.items() if body is not None]
    absent = [key.id for key, body in bodies.items() if body is None]
    live.note_many(db, situation.cluster.id, sightings, absent, now)
    drifting.record_drift(db, edges, found)
    _release(db, found, now)
    return []


def _release(db: Connection, found: Look, now: datetime) -> None:
    """Narrow the inventory by what Git does not name any more and what is gone: nobody has to delete it."""
    situation = found.situation
    if not found.gone or situation.cluster is None:
        return
    gone = sorted(found.gone)
    objects.release_many(db, found.view.uid, situation.row.id, gone)
    live.forget(db, situation.cluster.id, [key.id for key in gone])
    drifts.close(db, situation.row.id, [key.id for key in gone], "deleted", now)


def _health(found: Look) -> Health:
    """From what was read just now, else from what is known."""
    situation = found.situation
    objects_: list[tuple[Key, LiveRow | live.Sighting | None, bool]] = []
    for key, row in situation.owned.items():
        if is_child(key) or row.state == ObjectState.LEAVING or key in found.gone:
            continue
        seen: LiveRow | live.Sighting | None = situation.live.get(key.id)
        if key in found.compared.bodies:
            body = found.compared.bodies[key]
            seen = observe.sighting(key, body) if body is not None else None
        objects_.append((key, seen, row.health_relevant))
    return wellbeing.of_objects(objects_)


def _signals(edges: Edges, found: Look, memory: Memory) -> list[Signal]:
    name = found.situation.row.name
    drift = drifting.drift_signal(edges, found)
    if drift and drift.active and _repairs(found, memory, edges.now()):
        drift = replace(drift, facts={**drift.facts, "heals": True})
    raised = [drift] if drift else []
    if found.status.status is not SyncStatus.UNKNOWN:
        raised.append(Signal(Condition.SYNC_UNKNOWN, f"app:{name}", False))
    if found.status.status is SyncStatus.SYNCED and found.situation.sync is None:
        # Git may have gone back to what runs: then no sync comes to say that the failure is over.
        raised.append(Signal(Condition.SYNC_FAILED, f"app:{name}", False, facts={"application": name}))
    return [*raised, drifting.fight_signal(name, memory.fights_of(found.target))]


def _repairs(found: Look, memory: Memory, now: datetime) -> bool:
    """Whether self-heal is on, and neither a person, a rollback nor a fight keeps it from what it may repair."""
    automated = found.situation.app.automated
    heals = automated is not None and automated.self_heal and memory.pin is None
    return heals and not _paused(found.situation.row.paused, now) and not memory.fights_of(found.target)
