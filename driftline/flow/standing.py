"""Record how an application stands after a look, and decide whether a sync has to start."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection

from driftline.adapters import metrics
from driftline.adapters.store import applications, drifts, jobs, live, objects, syncs
from driftline.adapters.store.applications import Changes
from driftline.adapters.store.drifts import FieldFound
from driftline.adapters.store.live import LiveRow
from driftline.adapters.store.objects import ObjectChanges, ObjectState
from driftline.adapters.taskqueue import Hint
from driftline.alerts.texts import drift_facts
from driftline.drift.projection import owned_digest
from driftline.flow import desire, former, observe, signals, stepping, wellbeing
from driftline.flow.children import is_child
from driftline.flow.edges import Edges
from driftline.flow.looking import Look
from driftline.flow.memory import Memory
from driftline.flow.plans import fields_view
from driftline.flow.situation import Situation
from driftline.model.alert import Condition, Signal
from driftline.model.digests import digest
from driftline.model.drift import Verdict, VerdictState
from driftline.model.health import Health, SyncStatus
from driftline.model.objects import Key, Object
from driftline.model.revisions import short
from driftline.sync.automation import AutoSeen, Start, Stay, drift_fingerprint, should_sync
from driftline.sync.fights import Fight, Flip, fights
from driftline.sync.hooks import HookType, hook_types

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
    return pruning or _asked_to_prune_former(found)


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
        "conditions": conditions_json(situation, pairs, now),
        "checked_at": now,
        "summary": summary_of(edges, found),
        "verdict_until": _verdict_until(found, now),
    }
    if found.wish.inputs:
        # One pair: the next look takes the render for that of these inputs. What a rollback runs has none.
        changes["inputs"], changes["render_id"] = inputs_json(found), render_id or found.wish.render_id
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
    record_drift(db, edges, found)
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


def record_drift(db: Connection, edges: Edges, found: Look) -> None:
    """Open an interval for each field that drifts, and close those of objects that are well again."""
    situation, now = found.situation, edges.now()
    drifted = found.drifted
    secret = edges.settings.signing_key.encode()
    fields = {key.id: _found_fields(key, verdict, secret) for key, verdict in drifted.items()}
    last_clean = {key.id: _last_clean(situation, key) for key in drifted}
    well = [key.id for key, verdict in found.compared.verdicts.items() if verdict.in_sync]
    if fields:
        metrics.drift_found("watch or scan", len(fields))
        drifts.record(db, situation.row.id, found.view.uid, fields, now, last_clean)
    if well:
        drifts.close(db, situation.row.id, well, "as in Git again", now)


def _found_fields(key: Key, verdict: Verdict, secret: bytes) -> list[FieldFound]:
    """The drifted fields of one object, masked; an object that drifts as a whole has one field with an empty path."""
    shown = fields_view(key, (*verdict.fields, *verdict.leftovers), secret)
    if not shown:
        return [FieldFound("", str(verdict.state), "", verdict.reason or str(verdict.state))]
    return [
        FieldFound(
            each["path"],
            each["kind"],
            text(each["desired"]),
            text(each["live"]),
            each["manager"],
            each["operation"],
            datetime.fromisoformat(each["at"]) if each["at"] else None,
        )
        for each in shown
    ]


def text(value: Any) -> str:
    """A value for people: texts as they are, everything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def _last_clean(situation: Situation, key: Key) -> datetime | None:
    row, seen = situation.owned.get(key), situation.live.get(key.id)
    if row is None or row.verdict is not VerdictState.SYNCED:
        return None
    # A watch may have noted the different content already: then the time of its row says nothing of the clean one.
    confirmed = seen.seen_at if seen is not None and seen.digest == row.live_digest else row.updated_at
    return max(row.updated_at, situation.row.checked_at or row.updated_at, confirmed)


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
    raised = [drift_signal(edges, found)]
    if found.status.status is not SyncStatus.UNKNOWN:
        raised.append(Signal(Condition.SYNC_UNKNOWN, f"app:{name}", False))
    if found.status.status is SyncStatus.SYNCED and found.situation.sync is None:
        # Git may have gone back to what runs: then no sync comes to say that the failure is over.
        raised.append(Signal(Condition.SYNC_FAILED, f"app:{name}", False, facts={"application": name}))
    return [*raised, _fight_signal(name, memory.fights_of(found.target))]


def _fight_signal(name: str, fought: Sequence[Fight]) -> Signal:
    """One alert for all fights of an application; another set of them is another cause."""
    if not fought:
        return Signal(Condition.DRIFT_FIGHT, f"app:{name}", False, facts={"application": name})
    facts = {
        "application": name,
        "message": "; ".join(str(each) for each in fought),
        "manager": ", ".join(sorted({each.manager for each in fought if each.manager})),
        "objects": [],
    }
    cause = digest(sorted(f"{each.key.id}:{each.path}" for each in fought))
    return Signal(Condition.DRIFT_FIGHT, f"app:{name}", True, cause=cause, facts=facts)


def drift_signal(edges: Edges, found: Look) -> Signal:
    """Drift found, or over."""
    name = found.situation.row.name
    drifted = found.drifted
    if not drifted:
        return Signal(Condition.DRIFT_FOUND, f"app:{name}", False, facts={"application": name})
    cause = drift_fingerprint([each for each in found.differences if each.key in drifted])
    clean = {key: at for key in drifted if (at := _last_clean(found.situation, key)) is not None}
    facts = drift_facts(name, drifted.values(), clean, edges.settings.signing_key.encode())
    return Signal(Condition.DRIFT_FOUND, f"app:{name}", True, cause=cause, facts=facts)


def conditions_json(situation: Situation, pairs: Sequence[tuple[str, str]], now: datetime) -> list[dict[str, str]]:
    """Argo CD's conditions; the time of one whose message has not changed stays."""
    before = {(each["type"], each["message"]): each["lastTransitionTime"] for each in situation.row.conditions or ()}
    return [
        {
            "type": kind,
            "message": message,
            "lastTransitionTime": before.get((kind, message)) or now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        for kind, message in dict.fromkeys(pairs)
    ]


def inputs_json(found: Look) -> dict[str, Any]:
    """What the render read, so that a later commit can be compared with it without rendering.

    `items` has one entry for each source that is rendered, `places` says which source each is of, and `refs` by which
    name the others read a source's files.
    """
    sources = found.situation.app.sources
    return {
        "generation": found.situation.row.generation,
        "items": [each.to_json() for each in found.wish.inputs],
        "places": [place for place, source in enumerate(sources) if desire.has_manifests(source)],
        "refs": [source.ref for source in sources],
    }


def summary_of(edges: Edges, found: Look) -> dict[str, Any]:
    """What lists show: images, how many objects, how many differ, and whose commit it is."""
    images = sorted({image for each in found.wanted.values() for image in _images(each.body)})[:50]
    return {
        "images": images,
        "objects": len(found.wanted),
        "outOfSync": len(found.status.out_of_sync),
        "isAppOfApps": any(is_child(key) for key in found.wanted),
        "commits": _commits(edges, found),
        **({"pruneFormer": True} if found.situation.elsewhere and _asked_to_prune_former(found) else {}),
        "deletionHooks": sorted({str(kind) for body in found.wish.desired.hooks for kind in _in_deletion(body)}),
        "tool": found.wish.inputs[0].tool if found.wish.inputs else (found.situation.row.summary or {}).get("tool", ""),
    }


def _asked_to_prune_former(found: Look) -> bool:
    """Whether a person has synced with prune since the application was moved."""
    return bool((found.situation.row.summary or {}).get("pruneFormer"))


def _in_deletion(body: Object) -> list[HookType]:
    return [kind for kind in hook_types(body) if kind in (HookType.PRE_DELETE, HookType.POST_DELETE)]


def _commits(edges: Edges, found: Look) -> list[dict[str, str]]:
    """Subject and author of each source's commit, for people; empty texts where the mirror does not have it."""
    situation = found.situation
    known = (situation.row.summary or {}).get("commits", [])
    if known and list(found.wish.revisions) == situation.row.revisions:
        return list(known)
    return [
        edges.commit(access, revision)
        for access, revision in zip(situation.credentials, found.wish.revisions, strict=False)
    ]


def _images(body: Mapping[str, Any]) -> list[str]:
    spec = body.get("spec")
    for step in ("jobTemplate", "spec", "template", "spec"):
        if isinstance(spec, dict) and isinstance(spec.get(step), dict):
            spec = spec[step]
    containers = (spec.get("containers"), spec.get("initContainers")) if isinstance(spec, dict) else ()
    return [
        each["image"]
        for group in containers
        if isinstance(group, list)
        for each in group
        if isinstance(each, dict) and isinstance(each.get("image"), str)
    ]


def aged(situation: Situation, edges: Edges) -> Changes:
    """The status of an application that could not be compared: kept while fresh, then Unknown."""
    checked = situation.row.checked_at
    if checked is not None and edges.now() - checked < edges.settings.verdict_age:
        return {}
    return {"sync_status": SyncStatus.UNKNOWN}
