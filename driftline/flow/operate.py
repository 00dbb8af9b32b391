"""What people ask for: a sync, a rollback, an approval, a pause. Each is a row, an audit entry and a hint."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from driftline.adapters.store import applications, audit, histories, jobs, repositories, syncs
from driftline.adapters.store.applications import ApplicationRow
from driftline.desired import releases, urls
from driftline.desired import revision as revisions
from driftline.flow.declare import cascades
from driftline.flow.deletion import begun
from driftline.flow.edges import Edges
from driftline.flow.former import KIND as FORMER
from driftline.flow.memory import Memory, pin_json
from driftline.flow.situation import parsed
from driftline.flow.subjects import app_request, fetch_request, hints
from driftline.model.application import SKIP, Application
from driftline.model.errors import Permanent
from driftline.model.objects import Key
from driftline.model.revisions import short
from driftline.model.sync import OperationPhase
from driftline.sync.automation import Pin
from driftline.sync.confirmation import confirmed

RUNNING = "another operation is already in progress"


@dataclass(frozen=True)
class SyncRequest:
    """A sync that a person asks for. `prune=None` takes what the application's automation says, else no."""

    revision: str = ""
    prune: bool | None = None
    dry_run: bool = False
    resources: Sequence[Key] = ()
    """Only these objects; empty means all."""
    sync_options: Sequence[str] | None = None
    force: bool = False
    info: Sequence[tuple[str, str]] = field(default_factory=tuple)


def request_sync(edges: Edges, name: str, wanted: SyncRequest, who: str) -> int:
    """Start a sync and return its id. Raises Permanent for an unknown application or one with an open operation."""
    with edges.store.write() as db:
        row = _row(db, name)
        app = parsed(row)
        if wanted.revision:
            check_revision(app, wanted.revision)
            _check_tracked(row, wanted)
        prune = wanted.prune if wanted.prune is not None else bool(app.automated and app.automated.prune)
        request = _request(wanted, prune, len(app.sources))
        sync_id = _create(db, row, "manual", request, who)
        reads = [] if wanted.resources else repositories.of_application(db, row.id)
        # The fetch asks for the look when it ends: before, it would find the commit that was newest then.
        ids = jobs.request_many(db, [fetch_request(each.id) for each in reads] or [app_request(row.id)])
        audit.append(db, who, "app.sync", f"app:{name}", {"revision": wanted.revision, "prune": prune})
    edges.hint(hints(ids))
    return sync_id


def check_revision(app: Application, revision: str) -> None:
    """Raise Permanent for what can be no revision of the first source, which is the one that a request replaces."""
    source = app.sources[0]
    kind = urls.kind_of(source.repo_url, source.chart)
    (revisions if kind == urls.GIT else releases).validate(revision)


def _check_tracked(row: ApplicationRow, wanted: SyncRequest) -> None:
    """Argo CD's rule: with auto-sync on, another revision would be undone at once."""
    app = parsed(row)
    tracked = [source.target_revision or (releases.ANY if source.chart else "HEAD") for source in app.sources]
    if app.automated is not None and not wanted.dry_run and wanted.revision not in tracked:
        raise Permanent(
            f"Application {row.name}: cannot sync to {wanted.revision}: auto-sync currently set to {tracked[0]}; "
            "roll back instead, which holds until Git has something newer"
        )


def _request(wanted: SyncRequest, prune: bool, sources: int) -> dict[str, Any]:
    return {
        "prune": prune,
        "dry_run": wanted.dry_run,
        "force": wanted.force,
        "only": [key.id for key in wanted.resources] or None,
        "sync_options": list(wanted.sync_options) if wanted.sync_options is not None else None,
        "revisions": [wanted.revision, *[""] * (sources - 1)] if wanted.revision else None,
    }


def refresh(edges: Edges, name: str, hard: bool = False) -> None:
    """Fetch and compare again now; `hard` renders again as well."""
    with edges.store.write() as db:
        row = _row(db, name)
        ids = _wake(db, row, fetch=True, payload={"fresh": True, "anew": hard})
    edges.hint(hints(ids))


def terminate(edges: Edges, name: str, who: str) -> None:
    """Ask the running operation to stop. It does before its next write."""
    with edges.store.write() as db:
        row = _row(db, name)
        if syncs.request_terminate(db, row.id) is None:
            raise Permanent(f"Application {name}: no operation is in progress")
        ids = jobs.request_many(db, [app_request(row.id)])
        audit.append(db, who, "app.terminate", f"app:{name}")
    edges.hint(hints(ids))


def rollback(
    edges: Edges,
    name: str,
    number: int | None,
    who: str,
    prune: bool = False,
    why: str = "",
    until: datetime | None = None,
    dry_run: bool = False,
) -> int:
    """Deploy an earlier entry of the history from its stored render, and hold it until Git has something newer.

    `number=None` is the last deployment of something else than what runs now. With auto-sync on, a pin keeps automation
    from going back to what Git has now; the next commit lifts it. Returns the sync's id.
    """
    with edges.store.write() as db:
        row = _row(db, name)
        entry = _entry(db, row, number)
        if entry.render_id is None:
            raise Permanent(f"Application {name}: history {entry.number} has no stored render; sync to its revision")
        request = {"prune": prune, "dry_run": dry_run, "rollback": entry.number}
        sync_id = _create(db, row, "rollback", request, who, entry.render_id, entry.revisions or [])
        if not dry_run:
            _pin(db, row, entry, who, why, until)
        ids = jobs.request_many(db, [app_request(row.id)])
        audit.append(db, who, "app.rollback", f"app:{name}", {"to": entry.number, "revisions": entry.revisions})
    edges.hint(hints(ids))
    return sync_id


def _entry(db: Connection, row: ApplicationRow, number: int | None) -> histories.HistoryRow:
    if number is not None:
        found = histories.get(db, row.id, number)
        if found is None:
            raise Permanent(f"Application {row.name}: there is no history entry {number}; see driftline app history")
        return found
    earlier = earlier_deployment(histories.of_application(db, row.id))
    if earlier is None:
        raise Permanent(f"Application {row.name}: there is no earlier deployment to roll back to")
    return earlier


def earlier_deployment(entries: Sequence[histories.HistoryRow]) -> histories.HistoryRow | None:
    """The newest entry that would change something: not what runs now, deployed once more by a sync of the same."""
    for entry in entries[1:]:
        now = entries[0]
        same = (
            entry.render_id == now.render_id if entry.render_id and now.render_id else entry.revisions == now.revisions
        )
        if not same:
            return entry
    return None


def _pin(
    db: Connection, row: ApplicationRow, entry: histories.HistoryRow, who: str, why: str, until: datetime | None
) -> None:
    """Keep automation from what was wanted when the rollback was asked for."""
    memory = Memory.of(row)
    # While an earlier rollback holds, the last target is that one's, and what Git has stands in its pin.
    out = {memory.last.target} if memory.last else set()
    out |= memory.pin.out if memory.pin else frozenset()
    pin = Pin(short((entry.revisions or [""])[0]), frozenset(out), by=who, why=why, until=until)
    applications.set_status(db, row.id, pin=pin_json(pin, entry.deployed_at, entry.render_id, out))


def unpin(edges: Edges, name: str, who: str) -> None:
    """Let automation follow Git again after a rollback."""
    with edges.store.write() as db:
        row = _row(db, name)
        applications.set_status(db, row.id, pin=None)
        ids = jobs.request_many(db, [app_request(row.id)])
        audit.append(db, who, "app.unpin", f"app:{name}")
    edges.hint(hints(ids))


def approve(edges: Edges, name: str, plan_digest: str, keys: Sequence[Key] | None, who: str) -> None:
    """Allow held changes of exactly the plan shown. `keys=None` allows all that it holds."""
    with edges.store.write() as db:
        row = _row(db, name)
        sync = syncs.open_of(db, row.id)
        if sync is None:
            raise Permanent(f"Application {name}: no plan is waiting for approval")
        held = [each["key"] for each in (sync.plan_view or {}).get("held", ())]
        chosen = [key.id for key in keys] if keys is not None else held
        unknown = sorted(set(chosen) - set(held))
        if unknown:
            raise Permanent(f"Application {name}: {unknown[0]} is not held by this plan")
        approved = {"by": who, "keys": chosen}
        if not syncs.approve(db, sync.id, plan_digest, approved):
            raise Permanent(f"Application {name}: the plan has changed since it was shown; look at it again")
        ids = jobs.request_many(db, [app_request(row.id)])
        audit.append(db, who, "app.approve", f"app:{name}", {"plan": plan_digest, "keys": chosen})
    edges.hint(hints(ids))


def pause(edges: Edges, name: str, who: str, why: str = "", until: datetime | None = None) -> None:
    """Keep automation from starting syncs; drift is still found and told."""
    with edges.store.write() as db:
        row = _row(db, name)
        paused = {
            "by": who,
            "why": why,
            "at": edges.now().isoformat(),
            "until": until.isoformat() if until else None,
        }
        applications.set_status(db, row.id, paused=paused)
        audit.append(db, who, "app.pause", f"app:{name}", {"why": why})


def unpause(edges: Edges, name: str, who: str) -> None:
    """Let automation go on."""
    with edges.store.write() as db:
        row = _row(db, name)
        applications.set_status(db, row.id, paused=None)
        ids = jobs.request_many(db, [app_request(row.id)])
        audit.append(db, who, "app.unpause", f"app:{name}")
    edges.hint(hints(ids))


def remove(edges: Edges, name: str, who: str, cascade: bool | None = None, propagation: str = "foreground") -> None:
    """Delete an application. `cascade=None`: as its finalizer says; True deletes its objects, False lets them be."""
    if propagation not in ("foreground", "background"):
        raise Permanent(f"propagation policy {propagation!r}: want foreground or background")
    with edges.store.write() as db:
        row = _row(db, name)
        if row.parent_id is not None:
            raise Permanent(f"Application {name}: is declared by another application; remove it there, in Git")
        wanted = cascades(row.document) if cascade is None else cascade
        mode = ("background" if propagation == "background" else "cascade") if wanted else "forget"
        _begin_deletion(db, row, mode, edges.now())
        syncs.request_terminate(db, row.id)
        ids = jobs.request_many(db, [app_request(row.id)])
        audit.append(db, who, "app.delete", f"app:{name}", {"mode": mode})
    edges.hint(hints(ids))


def _begin_deletion(db: Connection, row: ApplicationRow, mode: str, now: datetime) -> None:
    """Asked again, a deletion keeps its age: it may have been confirmed since. Its hooks are tried again at once."""
    if row.deleting:
        applications.set_status(db, row.id, delete_mode=mode)
    else:
        applications.set_status(db, row.id, **begun(mode, now))


def confirm_deletion(edges: Edges, name: str, who: str) -> None:
    """Confirm the deletions that ask for it (Prune=confirm, Delete=confirm) in what runs or goes now.

    Raises Permanent if neither an operation nor a deletion is there that could wait for it.
    """
    with edges.store.write() as db:
        row = _row(db, name)
        if not row.deleting and syncs.open_of(db, row.id) is None:
            raise Permanent(f"Application {name}: nothing waits for a confirmation")
        applications.set_status(db, row.id, document=confirmed(row.document, edges.now()))
        ids = jobs.request_many(db, [app_request(row.id)])
        audit.append(db, who, "app.confirm-deletion", f"app:{name}")
    edges.hint(hints(ids))


def _create(
    db: Connection,
    row: ApplicationRow,
    kind: str,
    request: dict[str, Any],
    who: str,
    render_id: int | None = None,
    found: Sequence[str] = (),
) -> int:
    if row.deleting:
        raise Permanent(f"Application {row.name}: is being deleted")
    if parsed(row).left_alone:
        raise Permanent(f"Application {row.name}: its annotation {SKIP} forbids operations; take it away first")
    # A prune in a former cluster that waits for a person makes room, and is planned anew afterwards.
    syncs.give_way(db, row.id, FORMER)
    sync_id = syncs.create(
        db,
        row.id,
        kind,
        stage="requested",
        request=request,
        initiated_by=who,
        automated=False,
        render_id=render_id,
        revisions=list(found) or None,
    )
    if sync_id is None:
        raise Permanent(f"Application {row.name}: {RUNNING}{_in_the_way(syncs.open_of(db, row.id), row.name)}")
    return sync_id


def _in_the_way(sync: syncs.SyncRow | None, name: str) -> str:
    """What the open operation waits for and the commands that end that; empty for one that simply runs."""
    stop = f"driftline app terminate-op {name} stops it"
    if sync is not None and sync.phase is OperationPhase.HELD:
        held = (sync.plan_view or {}).get("held", ())
        deed = "confirm-deletion" if held and all(each.get("confirm") for each in held) else "approve"
        return f": its plan is held for a person; driftline app {deed} {name} allows it, {stop}"
    if sync is not None and sync.retry_at is not None:
        return f": it failed and is tried again at {sync.retry_at.astimezone(UTC):%H:%M} UTC; {stop}"
    return ""


def _wake(db: Connection, row: ApplicationRow, fetch: bool, payload: dict[str, Any] | None = None) -> tuple[int, ...]:
    """A look at the application, after a fetch of what it reads where a person expects the newest commit."""
    wishes = [replace(app_request(row.id), payload=payload)]
    if fetch:
        wishes += [fetch_request(each.id) for each in repositories.of_application(db, row.id)]
    return jobs.request_many(db, wishes)


def _row(db: Connection, name: str) -> ApplicationRow:
    row = applications.get(db, name)
    if row is None:
        raise Permanent(f"Application {name}: does not exist")
    return row
