"""What happened and what waits: drift, deliveries, jobs, messages, acts; and the settings in force."""

from typing import Any

from flask import Response, jsonify

from driftline.adapters.settings import documented, is_secret
from driftline.adapters.store import applications, audit, deliveries, drifts, jobs, outbox
from driftline.adapters.store.applications import ApplicationRow
from driftline.adapters.store.drifts import DriftRow
from driftline.flow import registry
from driftline.flow.subjects import hints
from driftline.model.objects import Key
from service.answers import Code, refuse
from service.api import shapes
from service.api.asking import before_of, body, limit_of, text_in
from service.api.routes import CONTINUE, LIMIT, Argument, Arguments, Need, Route, Scope
from service.api.serving import application, here
from service.api.times import exact
from service.auth.guard import allowed, current_user

MOST_PAGES = 20


def drift(asked: Arguments) -> Response:
    """Drift of one application or of all that the user may see: which field, since when, by whom, until when."""
    limit, before = limit_of(asked), before_of(asked)
    row = application(asked["app"], "get") if asked["app"] else None
    found: list[dict[str, Any]] = []
    for _ in range(MOST_PAGES):
        with here().store.read() as db:
            page = drifts.page(
                db, row.id if row else None, only_open=bool(asked["open"]), before=before, limit=limit + 1
            )
            known = {row.id: row} if row else applications.by_ids(db, sorted({each.application_id for each in page}))
        for each in page[:limit]:
            owner = known.get(each.application_id)
            if owner and _visible(owner) and len(found) < limit:
                found.append(_drift(each, owner))
                before = each.id
            elif len(found) < limit:
                before = each.id
        if len(found) == limit or len(page) <= limit:
            break
    more = {"continue": str(before)} if before is not None and len(page) > limit else {}
    return jsonify(metadata=more, items=found)


def _visible(row: ApplicationRow) -> bool:
    return allowed("applications", "get", f"{row.project}/{row.name}")


def _drift(each: DriftRow, owner: ApplicationRow) -> dict[str, Any]:
    return {
        "id": each.id,
        "application": owner.name,
        "project": owner.project,
        **shapes.ref(Key.parse(each.key_id)),
        "path": each.path,
        "change": each.kind,
        "desired": each.desired,
        "live": each.live,
        "manager": each.manager,
        "operation": each.operation,
        "managerAt": exact(each.manager_at),
        "lastCleanAt": exact(each.last_clean_at),
        "foundAt": exact(each.found_at),
        "endedAt": exact(each.ended_at),
        "endReason": each.end_reason,
    }


def delivered(asked: Arguments) -> Response:
    """The latest webhook deliveries."""
    with here().store.read() as db:
        found = deliveries.recent(db, limit=limit_of(asked))
    items = [
        {
            "id": each.id,
            "provider": each.provider,
            "hook": each.hook,
            "deliveryId": each.delivery_id,
            "event": each.event,
            "repo": each.repo_url,
            "ref": each.ref,
            "outcome": each.outcome,
            "message": each.message,
            "repeats": each.repeats,
            "receivedAt": exact(each.received_at),
        }
        for each in found
    ]
    return jsonify(metadata={}, items=items)


def quarantined(asked: Arguments) -> Response:
    """Jobs that failed until their attempts were used up."""
    with here().store.read() as db:
        found = jobs.quarantined(db, limit_of(asked))
    items = [
        {
            "id": each.id,
            "kind": each.kind,
            "subject": each.subject,
            "attempts": each.attempts,
            "error": each.error,
            "createdAt": exact(each.created_at),
            "updatedAt": exact(each.updated_at),
        }
        for each in found
    ]
    return jsonify(metadata={}, items=items)


def retried(asked: Arguments, job: str) -> Response:
    """Do what a quarantined job was to do, after all."""
    number = int(job) if job.isascii() and job.isdecimal() and len(job) < 18 else -1

    with here().store.write() as db:
        new = jobs.retry(db, number)
        if new is not None:
            audit.append(db, current_user().name, "job.retry", f"job:{number}", {"new": new})
    if new is None:
        refuse(404, f"job {job[:20]}: is not quarantined", Code.NOT_FOUND)
    here().hint(hints((new,)))
    return jsonify(id=new)


def dead_messages(asked: Arguments) -> Response:
    """Messages that no channel took for a day."""
    with here().store.read() as db:
        found = outbox.dead(db, limit_of(asked))
    items = [
        {
            "id": each.id,
            "channel": each.channel,
            "edge": str(each.edge),
            "attempts": each.attempts,
            "error": each.error,
            "createdAt": exact(each.created_at),
        }
        for each in found
    ]
    return jsonify(metadata={}, items=items)


def acts(asked: Arguments) -> Response:
    """Who did what."""
    limit = limit_of(asked)
    with here().store.read() as db:
        found = audit.page(db, asked["subject"] or "", asked["actor"] or "", before_of(asked), limit + 1)
    items = [
        {
            "id": each.id,
            "at": exact(each.at),
            "actor": each.actor,
            "action": each.action,
            "subject": each.subject,
            "detail": each.detail or {},
        }
        for each in found[:limit]
    ]
    more = {"continue": str(found[limit - 1].id)} if len(found) > limit else {}
    return jsonify(metadata=more, items=items)


def settings(asked: Arguments) -> Response:
    """Every setting with its meaning; of secrets only whether they are set."""
    return jsonify(metadata={}, items=setting_items(here().settings))


def setting_items(found: Any) -> list[dict[str, Any]]:
    """The settings as JSON, secrets hidden."""
    items = []
    for each in documented():
        value = getattr(found, each.field)
        shown = str(value.total_seconds()) if hasattr(value, "total_seconds") else str(value)
        if is_secret(each.field):
            shown = "(set)" if value else ""
        items.append({"name": each.variable, "value": shown, "default": each.default, "text": each.text})
    return items


def alert_tested(asked: Arguments) -> Response:
    """Send a test message and say what the channel answered."""
    found = registry.test_alert(here(), text_in(body(), "recipient"), current_user().name)
    return jsonify(message=found)


_READ = Need("system", "get", Scope.WHOLE)
_CHANGE = Need("system", "update", Scope.WHOLE)

ROUTES = (
    Route(
        "GET",
        "/api/v1/drift",
        drift,
        "Drift, the newest first",
        Need("applications", "get", Scope.LISTED),
        (
            Argument("app", "Only of this application."),
            Argument("open", "Only what drifts now.", "boolean"),
            LIMIT,
            CONTINUE,
        ),
        answer="DriftList",
    ),
    Route("GET", "/api/v1/deliveries", delivered, "The latest webhook deliveries", _READ, (LIMIT,), answer="List"),
    Route("GET", "/api/v1/jobs/quarantined", quarantined, "Jobs that were put aside", _READ, (LIMIT,), answer="List"),
    Route(
        "POST",
        "/api/v1/jobs/{job}/retry",
        retried,
        "Do a quarantined job after all",
        _CHANGE,
        body="Empty",
        answer="Object",
    ),
    Route("GET", "/api/v1/messages/dead", dead_messages, "Alerts that nobody took", _READ, (LIMIT,), answer="List"),
    Route(
        "GET",
        "/api/v1/audit",
        acts,
        "Who did what, the newest first",
        _READ,
        (
            Argument("subject", "Only about this: `app:shop`, `cluster:east`."),
            Argument("actor", "Only by this account."),
            LIMIT,
            CONTINUE,
        ),
        answer="List",
    ),
    Route("GET", "/api/v1/settings", settings, "Settings in force, secrets hidden", _READ, answer="List"),
    Route(
        "POST",
        "/api/v1/alerts/test",
        alert_tested,
        "Send a test message",
        _CHANGE,
        body="AlertTest",
        answer="Object",
    ),
)
