"""Sign in and out over the API, with Argo CD's shapes: session, userinfo, password, tokens."""

from datetime import timedelta
from typing import Any, NoReturn

from flask import Blueprint, Response, jsonify

from driftline.model.errors import Permanent
from service.answers import Code, json_body, refuse
from service.auth.accounts import Account, CredentialKind
from service.auth.guard import (
    authorise,
    clear_session,
    current_token,
    current_user,
    denied,
    guard,
    sender,
    session_cookie,
    set_session,
)
from service.auth.sessions import SignedIn, TooManyLogins

WRONG_LOGIN = "Invalid username or password"

routes = Blueprint("session", __name__)


def sign_in(name: str, password: str) -> SignedIn | None:
    """Sign the sender in and end the session that their browser had; None if name or password is wrong.

    Raises TooManyLogins.
    """
    sessions = guard().sessions
    account = sessions.check(name, password, sender())
    if account is None:
        return None
    sessions.logout(session_cookie())
    return sessions.open(account)


@routes.post("/api/v1/session")
def create_session() -> Response:
    """`{username, password}` to `{token}`, which also becomes the browser's session."""
    body = json_body()
    try:
        signed_in = sign_in(_text(body, "username"), _text(body, "password"))
    except TooManyLogins:
        _busy()
    if signed_in is None:
        refuse(401, WRONG_LOGIN, Code.UNAUTHENTICATED)
    response = jsonify(token=signed_in.token)
    set_session(response, signed_in)
    return response


@routes.delete("/api/v1/session")
def delete_session() -> Response:
    """End the session with which this was asked. An API token stays: it is revoked by its id."""
    if current_user().kind is CredentialKind.SESSION:
        guard().sessions.logout(current_token())
    response = jsonify({})
    clear_session(response)
    return response


@routes.get("/api/v1/session/userinfo")
def userinfo() -> Response:
    """Who is signed in."""
    user = current_user()
    return jsonify(
        loggedIn=True,
        username=user.name,
        iss="driftline",
        groups=list(user.roles),
        initialPassword=user.initial_password,
    )


@routes.put("/api/v1/account/password")
def change_password() -> Response:
    """`{name, currentPassword, newPassword}`: ends the account's sessions and tokens; one's own is renewed.

    `currentPassword` is always the sender's own, also when they change someone else's. An API token cannot do this.
    """
    body, user = json_body(), current_user()
    name = _text(body, "name") or user.name
    if user.kind is not CredentialKind.SESSION:
        denied()
    if name != user.name:
        authorise("accounts", "update", name)
    sessions = guard().sessions
    _prove(user.name, _text(body, "currentPassword"))
    try:
        changed = sessions.set_password(name, _text(body, "newPassword"))
    except Permanent as problem:
        refuse(400, problem.message, Code.INVALID_ARGUMENT)
    response = jsonify({})
    if name == user.name:
        set_session(response, sessions.open(changed))
    return response


@routes.post("/api/v1/account/<name>/token")
def create_token(name: str) -> Response:
    """`{expiresIn, id}` to `{token}`: seconds (0: for ever) and a note. For oneself, or who may update accounts."""
    _own_or_authorised(name)
    body = json_body()
    try:
        seconds = int(body.get("expiresIn") or 0)
        lifetime = timedelta(seconds=seconds) if seconds > 0 else None
        _, token = guard().sessions.create_token(name, lifetime, _text(body, "id"))
    except (ValueError, TypeError, OverflowError):
        refuse(400, "expiresIn: want a number of seconds", Code.INVALID_ARGUMENT)
    except Permanent as problem:
        refuse(400, problem.message, Code.INVALID_ARGUMENT)
    return jsonify(token=token)


@routes.get("/api/v1/account/<name>/token")
def list_tokens(name: str) -> Response:
    """The sessions and tokens of an account that are valid now."""
    account = _own_or_authorised(name)
    found = guard().sessions.accounts.credentials(account) if account else ()
    items = [
        {
            "id": each.id,
            "kind": each.kind,
            "note": each.note,
            "expiresAt": each.expires_at.isoformat() if each.expires_at else None,
        }
        for each in found
    ]
    return jsonify(items=items)


@routes.delete("/api/v1/account/<name>/token/<credential_id>")
def delete_token(name: str, credential_id: str) -> Response:
    """Revoke one session or token of an account; what is not there is gone already."""
    account = _own_or_authorised(name)
    accounts = guard().sessions.accounts
    if account and any(each.id == credential_id for each in accounts.credentials(account)):
        accounts.revoke(credential_id)
    return jsonify({})


def _own_or_authorised(name: str) -> Account | None:
    if name != current_user().name:
        authorise("accounts", "update", name)
    return guard().sessions.find(name)


def _prove(name: str, password: str) -> None:
    try:
        proved = guard().sessions.check(name, password, sender())
    except TooManyLogins:
        _busy()
    if proved is None:
        refuse(401, WRONG_LOGIN, Code.UNAUTHENTICATED)


def _busy() -> NoReturn:
    refuse(503, "too many logins at once; try again", Code.UNAVAILABLE, {"Retry-After": "2"})


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""
