"""Sign in and out, and choose a theme."""

from flask import Response, current_app, redirect, request, url_for

from service.auth.accounts import CredentialKind
from service.auth.guard import clear_session, current_token, current_user, guard, session_cookie, set_session
from service.auth.routes import sign_in
from service.auth.sessions import TooManyLogins
from service.security import local_target
from service.ui.page import THEME_COOKIE, THEMES, page

YEAR = 365 * 86400
BUSY_SECONDS = "2"


def login_form() -> Response:
    """The login page; who is signed in already goes on."""
    if guard().sessions.identify(session_cookie()):
        return _go(_target(request.args.get("return_url") or request.args.get("next")))
    return page("login.html", target=_target(request.args.get("return_url") or request.args.get("next")), problem="")


def login() -> Response:
    """Check name and password. Which of the two is wrong is not told; the password is never sent back."""
    target = _target(request.form.get("next"))
    try:
        signed_in = sign_in(request.form.get("username", "").strip(), request.form.get("password", ""))
    except TooManyLogins:
        response = page("login.html", 503, target=target, problem="busy")
        response.headers["Retry-After"] = BUSY_SECONDS
        return response
    if signed_in is None:
        return page("login.html", 401, target=target, problem="wrong")
    response = _go(target)
    set_session(response, signed_in)
    return response


def logout() -> Response:
    """End this session."""
    if current_user().kind is CredentialKind.SESSION:
        guard().sessions.logout(current_token())
    response = _go(url_for("ui.login_form"))
    clear_session(response)
    return response


def choose_theme() -> Response:
    """Keep the reader's choice of theme in their browser; anything else means the system's."""
    response = _go(_target(request.form.get("next")))
    wanted = request.form.get("theme", "")
    if wanted in THEMES:
        response.set_cookie(THEME_COOKIE, wanted, max_age=YEAR, secure=guard().https, httponly=True, samesite="Lax")
    else:
        response.delete_cookie(THEME_COOKIE, secure=guard().https, httponly=True, samesite="Lax")
    return response


def _target(text: object) -> str:
    return local_target(current_app, text)


def _go(target: str) -> Response:
    return redirect(target, 303)  # type: ignore[return-value]
