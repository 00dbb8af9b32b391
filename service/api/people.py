"""Accounts of this installation: who there is, and new ones. Passwords and tokens are in service.auth.routes."""

from typing import Any

from flask import Response, jsonify

from driftline.adapters.store import accounts as rows
from driftline.adapters.store import audit
from driftline.model.errors import Permanent
from service.answers import Code, refuse
from service.api.asking import body, flag_in, text_in, texts_in, wrong
from service.api.routes import Arguments, Need, Route, Scope
from service.api.serving import here
from service.auth.guard import current_user, guard


def _shape(row: rows.AccountRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "enabled": row.enabled,
        "capabilities": ["login", "apiKey"] if row.password_hash else ["apiKey"],
        "roles": row.roles,
    }


def listed(asked: Arguments) -> Response:
    """All accounts."""
    with here().store.read() as db:
        found = rows.everyone(db)
    return jsonify(items=[_shape(row) for row in found[:500]])


def created(asked: Arguments) -> Response:
    """Make an account with a password."""
    found = body()
    name, roles = text_in(found, "name"), texts_in(found, "roles") or []
    if any(not role.startswith("role:") or len(role) > 100 for role in roles) or len(roles) > 50:
        wrong("roles: each begins with role:, as role:readonly")
    try:
        account = guard().sessions.create_account(name, tuple(roles), text_in(found, "password"))
    except Permanent as problem:
        refuse(400, problem.message, Code.INVALID_ARGUMENT)
    _note("account.create", account.name, {"roles": roles})
    return jsonify(_get(account.name))


def changed(asked: Arguments, account: str) -> Response:
    """Lock an account out or let it in, or give it other roles; both end its sessions and tokens."""
    found = body()
    enabled, roles = flag_in(found, "enabled"), texts_in(found, "roles")
    if account == current_user().name:
        wrong("account: your own cannot be changed; ask another administrator")
    known = guard().sessions.find(account)
    if known is None:
        refuse(404, f"account {account[:70]}: does not exist", Code.NOT_FOUND)
    if roles is not None:
        guard().sessions.accounts.set_roles(account, tuple(roles))
    if enabled is not None:
        guard().sessions.accounts.set_enabled(account, enabled)
    _note("account.change", account, {"enabled": enabled, "roles": roles})
    return jsonify(_get(account))


def _get(name: str) -> dict[str, Any]:
    with here().store.read() as db:
        row = rows.get(db, name)
    if row is None:
        refuse(404, f"account {name}: does not exist", Code.NOT_FOUND)
    return _shape(row)


def _note(action: str, name: str, detail: dict[str, Any]) -> None:
    with here().store.write() as db:
        audit.append(db, current_user().name, action, f"account:{name}", detail)


ROUTES = (
    Route("GET", "/api/v1/account", listed, "List accounts", Need("accounts", "get", Scope.WHOLE), answer="List"),
    Route(
        "POST",
        "/api/v1/account",
        created,
        "Make an account",
        Need("accounts", "create", Scope.WHOLE),
        body="AccountRequest",
        answer="Object",
    ),
    Route(
        "PUT",
        "/api/v1/account/{account}",
        changed,
        "Lock an account, or give it other roles",
        Need("accounts", "update", Scope.WHOLE),
        body="AccountChange",
        answer="Object",
    ),
)
