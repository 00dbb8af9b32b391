"""What people ask of one application: sync, rollback, terminate, approve, pause; and the record of its syncs."""

from datetime import datetime, timedelta
from typing import Any

from flask import Response, jsonify

from driftline.adapters.store import syncs
from driftline.adapters.store.applications import ApplicationRow
from driftline.flow import operate
from driftline.flow.operate import SyncRequest
from driftline.model.objects import Key
from service.answers import Code, refuse
from service.api import logins, shapes
from service.api.applications import shown
from service.api.asking import (
    before_of,
    body,
    flag_in,
    limit_of,
    number_in,
    section_in,
    sections_in,
    text_in,
    texts_in,
    wrong,
)
from service.api.routes import CONTINUE, LIMIT, Arguments, Need, Route, Scope
from service.api.serving import fresh, here
from service.api.times import exact
from service.auth.guard import authorise, current_user


def synced(asked: Arguments, row: ApplicationRow) -> Response:
    """Start a sync; answers with the application, whose `status.operationState` tells how it goes."""
    operate.request_sync(here(), row.name, sync_request(body()), current_user().name)
    return jsonify(shown(fresh(row.name)))


def sync_request(found: dict[str, Any]) -> SyncRequest:
    """Argo CD's request of a sync, as ours."""
    strategy = section_in(found, "strategy")
    force = any(bool(flag_in(section_in(strategy, kind), "force")) for kind in ("apply", "hook"))
    resources = sections_in(found, "resources")
    if any(each.get("exclude") for each in resources):
        wrong("resources: excluding single objects is not possible; name those that are to be synced")
    options = texts_in(section_in(found, "syncOptions"), "items")
    return SyncRequest(
        revision=text_in(found, "revision") or next(iter(texts_in(found, "revisions") or ()), ""),
        prune=flag_in(found, "prune"),
        dry_run=bool(flag_in(found, "dryRun")),
        resources=tuple(key_in(each) for each in resources),
        sync_options=tuple(options) if options is not None else None,
        force=force,
        info=tuple((text_in(each, "name"), text_in(each, "value")) for each in sections_in(found, "infos")),
    )


def key_in(found: dict[str, Any]) -> Key:
    """The key that an object in Argo CD's fields names."""
    key = Key(text_in(found, "group"), text_in(found, "kind"), text_in(found, "namespace"), text_in(found, "name"))
    if not key.kind or not key.name or any("/" in part for part in (key.group, key.kind, key.namespace, key.name)):
        wrong("resources: each needs kind and name, and group and namespace where it has them")
    return key


def rolled_back(asked: Arguments, row: ApplicationRow) -> Response:
    """Deploy an earlier entry of the history; without `id` the one before the present."""
    found = body()
    operate.rollback(
        here(),
        row.name,
        number_in(found, "id"),
        current_user().name,
        prune=bool(flag_in(found, "prune")),
        why=text_in(found, "reason"),
        until=_until(found),
        dry_run=bool(flag_in(found, "dryRun")),
    )
    return jsonify(shown(fresh(row.name)))


def _until(found: dict[str, Any]) -> datetime | None:
    """A moment in `until`, or a number of seconds from now in `seconds`."""
    seconds = number_in(found, "seconds")
    if seconds is not None:
        if seconds <= 0:
            wrong("seconds: want a number above 0")
        return here().now() + timedelta(seconds=seconds)
    text = text_in(found, "until")
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        wrong("until: want a time as 2026-01-31T18:00:00Z")
    if at.tzinfo is None:
        wrong("until: want a time with its zone, as 2026-01-31T18:00:00Z")
    return at


def unpinned(asked: Arguments, row: ApplicationRow) -> Response:
    """Follow Git again after a rollback."""
    operate.unpin(here(), row.name, current_user().name)
    return jsonify(shown(fresh(row.name)))


def terminated(asked: Arguments, row: ApplicationRow) -> Response:
    """Ask the running operation to stop before its next write."""
    operate.terminate(here(), row.name, current_user().name)
    return jsonify({})


def approved(asked: Arguments, row: ApplicationRow) -> Response:
    """Allow what the plan with this digest holds: all of it, or the named objects."""
    found = body()
    digest, keys = text_in(found, "digest"), texts_in(found, "keys")
    if not digest:
        wrong("digest: name the plan that was looked at; status.driftline.sync.plan has it")
    try:
        chosen = [Key.parse(each) for each in keys] if keys is not None else None
    except ValueError as problem:
        wrong(f"keys: {problem}")
    operate.approve(here(), row.name, digest, chosen, current_user().name)
    return jsonify(shown(fresh(row.name)))


def confirmed(asked: Arguments, row: ApplicationRow) -> Response:
    """Confirm the deletions that ask for it, in what runs or goes now: Argo CD's annotation, set to this moment."""
    if row.deleting:
        authorise("applications", "delete", f"{row.project}/{row.name}")
    operate.confirm_deletion(here(), row.name, current_user().name)
    return jsonify(shown(fresh(row.name)))


def paused(asked: Arguments, row: ApplicationRow) -> Response:
    """Keep automation from starting syncs."""
    found = body()
    operate.pause(here(), row.name, current_user().name, text_in(found, "reason"), _until(found))
    return jsonify(shown(fresh(row.name)))


def unpaused(asked: Arguments, row: ApplicationRow) -> Response:
    """Let automation go on."""
    operate.unpause(here(), row.name, current_user().name)
    return jsonify(shown(fresh(row.name)))


def recorded(asked: Arguments, row: ApplicationRow) -> Response:
    """The application's syncs, the newest first."""
    limit = limit_of(asked)
    with here().store.read() as db:
        found = syncs.of_application(db, row.id, before_of(asked), limit + 1)
    more = {"continue": str(found[limit - 1].id)} if len(found) > limit else {}
    return jsonify(metadata=more, items=[_brief(each) for each in found[:limit]])


def _brief(row: syncs.SyncBrief) -> dict[str, Any]:
    return {
        "id": row.id,
        "phase": str(row.phase),
        "stage": row.stage,
        "kind": row.kind,
        "revisions": row.revisions or [],
        "initiatedBy": row.initiated_by,
        "automated": row.automated,
        "plan": row.plan_digest,
        "message": row.message,
        "retryCount": row.retry_count,
        "startedAt": exact(row.started_at),
        "finishedAt": exact(row.finished_at),
    }


def record(asked: Arguments, row: ApplicationRow, sync: str) -> Response:
    """One sync: its plan and what came of each object."""
    if not sync.isascii() or not sync.isdecimal() or len(sync) > 18:
        wrong("sync: want the number of a sync")
    with here().store.read() as db:
        found = syncs.get(db, int(sync))
    if found is None or found.application_id != row.id:
        refuse(404, f"Application {row.name}: has no sync {sync}", Code.NOT_FOUND)
    brief = syncs.SyncBrief(**{name: getattr(found, name) for name in syncs.SyncBrief.__dataclass_fields__})
    state = logins.hidden(shapes.operation_state(found, row.document.get("spec") or {}))
    times = {"plannedAt": exact(found.planned_at), "deadline": exact(found.deadline), "retryAt": exact(found.retry_at)}
    view = {"planView": found.plan_view, "approved": found.approved, "waiting": found.waiting, "operationState": state}
    return jsonify({**_brief(brief), **times, **view, "supersededBy": found.superseded_by, "wave": found.wave})


_APPLICATION = "/api/v1/applications/{name}"
_SYNC = Need("applications", "sync", Scope.APPLICATION)
_GET = Need("applications", "get", Scope.APPLICATION)

ROUTES = (
    Route("POST", f"{_APPLICATION}/sync", synced, "Start a sync", _SYNC, body="SyncRequest", answer="Application"),
    Route(
        "POST",
        f"{_APPLICATION}/rollback",
        rolled_back,
        "Roll back to an entry of the history",
        _SYNC,
        body="RollbackRequest",
        answer="Application",
    ),
    Route("DELETE", f"{_APPLICATION}/operation", terminated, "Stop the running operation", _SYNC),
    Route("DELETE", f"{_APPLICATION}/pin", unpinned, "Follow Git again after a rollback", _SYNC, answer="Application"),
    Route(
        "POST",
        f"{_APPLICATION}/plan/approve",
        approved,
        "Allow what a plan holds",
        _SYNC,
        body="ApproveRequest",
        answer="Application",
    ),
    Route(
        "POST",
        f"{_APPLICATION}/confirm-deletion",
        confirmed,
        "Confirm the deletions that wait for a person",
        _SYNC,
        body="Empty",
        answer="Application",
    ),
    Route(
        "POST",
        f"{_APPLICATION}/pause",
        paused,
        "Keep automation from starting syncs",
        _SYNC,
        body="PauseRequest",
        answer="Application",
    ),
    Route(
        "POST", f"{_APPLICATION}/unpause", unpaused, "Let automation go on", _SYNC, body="Empty", answer="Application"
    ),
    Route(
        "GET",
        f"{_APPLICATION}/syncs",
        recorded,
        "The syncs of an application, the newest first",
        _GET,
        (LIMIT, CONTINUE),
        answer="SyncList",
    ),
    Route("GET", f"{_APPLICATION}/syncs/{{sync}}", record, "One sync with plan and results", _GET, answer="Object"),
)
