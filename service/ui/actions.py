"""What people do with an application by its buttons. Each answers with the page that shows what came of it."""

from datetime import datetime, timedelta

from flask import Response, abort, redirect, request, url_for

from driftline.adapters.store import syncs
from driftline.adapters.store.applications import ApplicationRow
from driftline.flow import operate
from driftline.flow.operate import SyncRequest
from driftline.model.errors import Permanent
from driftline.model.objects import Key
from service.auth.guard import current_user
from service.ui.operations import plan_shown
from service.ui.page import application, here, now

LONGEST = 500
"""Characters of a reason, a revision or a name."""
MOST_HOURS = 24 * 365


def sync(name: str) -> Response:
    """Start a sync."""
    row = application(name, "sync")
    wanted = SyncRequest(
        revision=_text("revision"),
        prune=_on("prune") if _text("prune_asked") else None,
        dry_run=_on("dry_run"),
        resources=_keys() or (),
        force=_on("force"),
    )
    operate.request_sync(here(), row.name, wanted, current_user().name)
    return _back(name)


def refresh(name: str) -> Response:
    """Fetch and compare now."""
    row = application(name)
    operate.refresh(here(), row.name, hard=_on("hard"))
    return _back(name)


def terminate(name: str) -> Response:
    """Stop the running operation before its next write."""
    row = application(name, "sync")
    operate.terminate(here(), row.name, current_user().name)
    return _back(name)


def rollback(name: str) -> Response:
    """Deploy an earlier entry of the history."""
    row = application(name, "sync")
    number = _text("number")
    if not number.isascii() or not number.isdecimal() or len(number) > 9:
        abort(400, "Choose an entry of the history to roll back to.")
    operate.rollback(
        here(),
        row.name,
        int(number),
        current_user().name,
        prune=_on("prune"),
        why=_text("why"),
        until=_until(),
    )
    return _back(name)


def unpin(name: str) -> Response:
    """Follow Git again after a rollback."""
    row = application(name, "sync")
    operate.unpin(here(), row.name, current_user().name)
    return _back(name)


def approve(name: str) -> Response:
    """Allow the chosen changes of exactly the plan that was shown."""
    row = application(name, "sync")
    keys = tuple(dict.fromkeys((*_keys(), *_of_reasons(row))))
    if not keys:
        raise Permanent(f"Application {name}: choose at least one change to allow")
    operate.approve(here(), row.name, _text("digest"), keys, current_user().name)
    return _back(name)


def _of_reasons(row: ApplicationRow) -> tuple[Key, ...]:
    """Every held change whose reason was ticked. That the plan is the one shown is seen to by its digest."""
    reasons = set(request.form.getlist("reason"))
    if not reasons:
        return ()
    with here().store.read() as db:
        sync = syncs.open_of(db, row.id)
    steps = plan_shown((sync.plan_view if sync else None) or {}).held
    return tuple(Key.parse(step.key) for step in steps if step.reason in reasons)


def confirm_deletion(name: str) -> Response:
    """Confirm the deletions that ask for it."""
    row = application(name, "sync")
    if row.deleting:
        row = application(name, "delete")
    operate.confirm_deletion(here(), row.name, current_user().name)
    return _back(name)


def pause(name: str) -> Response:
    """Keep automation from starting syncs."""
    row = application(name, "sync")
    operate.pause(here(), row.name, current_user().name, _text("why"), _until())
    return _back(name)


def unpause(name: str) -> Response:
    """Let automation go on."""
    row = application(name, "sync")
    operate.unpause(here(), row.name, current_user().name)
    return _back(name)


def delete(name: str) -> Response:
    """Delete the application, with its objects only if that was chosen and its name was typed."""
    row = application(name, "delete")
    if _text("confirm") != row.name:
        raise Permanent(f"Application {name}: was not deleted; type its name to confirm")
    operate.remove(here(), row.name, current_user().name, cascade=_text("cascade") == "true")
    return _back(name)


def _text(name: str) -> str:
    found = request.form.get(name, "").strip()
    if len(found) > LONGEST or "\x00" in found:
        abort(400, f"{name}: is too long, or no text.")
    return found


def _on(name: str) -> bool:
    return request.form.get(name) == "true"


def _keys() -> tuple[Key, ...]:
    try:
        return tuple(Key.parse(each) for each in request.form.getlist("key"))
    except ValueError:
        abort(400, "An object was named in no form of ours; load the page again.")


def _until() -> datetime | None:
    """A number of hours from now; nothing means without end."""
    text = _text("hours")
    if not text:
        return None
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= MOST_HOURS:
        abort(400, "For how long: give a number of hours, or leave it empty.")
    return now() + timedelta(hours=hours)


def _back(name: str) -> Response:
    return redirect(url_for("ui.show_application", name=name), 303)  # type: ignore[return-value]
