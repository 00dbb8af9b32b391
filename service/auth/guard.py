"""Stands in front of every route: nobody gets in unknown, except where the fixed list says so.

`protect(app, Guard(...))` once; views then use `current_user`, `allowed`, `authorise` and `denied`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import quote

from flask import Flask, Response, current_app, g, redirect, request

from driftline.access.policy import Permission, Policy, allows
from driftline.model.errors import Temporary
from service.answers import Code, error, refuse
from service.auth import csrf
from service.auth.accounts import Credential, CredentialKind
from service.auth.addresses import NOBODY, Proxies, client_address
from service.auth.sessions import Sessions, SignedIn
from service.security import is_static

PUBLIC = frozenset(
    {
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/login"),
        ("POST", "/login"),
        ("POST", "/api/v1/session"),
    }
)
"""Method and rule of what strangers may ask, beside static files and webhooks, which prove themselves. HEAD is GET."""


@dataclass(frozen=True)
class User:
    """Who asks. `subjects` is what the policy knows them by: their name and roles."""

    name: str
    roles: tuple[str, ...]
    kind: CredentialKind
    credential_id: str
    initial_password: bool = False

    @property
    def subjects(self) -> tuple[str, ...]:
        return (self.name, *self.roles)


@dataclass(frozen=True)
class Guard:
    """What `protect` installs. `policy()` gives the policy of now; `https` is whether people come over TLS."""

    sessions: Sessions
    policy: Callable[[], Policy]
    public_url: str
    proxies: Proxies = NOBODY
    https: bool = field(init=False)
    own_origins: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "https", self.public_url.lower().startswith("https://"))
        object.__setattr__(self, "own_origins", frozenset({csrf.origin_of(self.public_url)}))

    @property
    def cookie(self) -> str:
        """`__Host-` binds a cookie to this host and TLS, so that no other can set it; plain http has no such thing."""
        return "__Host-driftline" if self.https else "driftline"


def protect(app: Flask, guard: Guard) -> None:
    """Put a guard in front of all routes of `app`, present and future."""
    app.extensions["driftline.guard"] = guard
    app.before_request(_check)
    app.jinja_env.globals["csrf_token"] = csrf_token


def guard() -> Guard:
    """The guard of this application."""
    found: Guard = current_app.extensions["driftline.guard"]
    return found


def is_public() -> bool:
    """Whether strangers may ask this. What no rule matches is not, so that nobody can feel out which paths exist."""
    if _is_webhook() or request.url_rule is None:
        return _is_webhook()
    method = "GET" if request.method == "HEAD" else request.method
    return (method, request.url_rule.rule) in PUBLIC or is_static(request.endpoint)


def _is_webhook() -> bool:
    return request.path == "/api/webhook" or request.path.startswith("/hooks/")


def _check() -> Response | None:
    here = guard()
    changes = request.method not in csrf.SAFE_METHODS
    if is_public():
        if changes and not _is_webhook() and csrf.from_elsewhere(request, here.own_origins):
            return _forged()
        return None
    token, by_cookie = _shown(here)
    found = here.sessions.identify(token) if token else None
    if found is None:
        return _unknown()
    if changes and by_cookie and csrf.is_forged(request, token, here.own_origins):
        return _forged()
    g.driftline_user = _user(found)
    g.driftline_token = token
    return None


def _shown(here: Guard) -> tuple[str, bool]:
    """The token that came, and whether as a cookie. A bearer token goes first: only a client of ours adds one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip(), False
    return request.cookies.get(here.cookie, ""), True


def _user(found: Credential) -> User:
    account = found.account
    return User(account.name, account.roles, found.kind, found.id, account.initial_password)


def current_user() -> User:
    """Who asks. Only for routes that are not public."""
    found: User = g.driftline_user
    return found


def sender() -> str:
    """The address that logins of this request are counted for."""
    # Several headers of one name count as one, in their order (RFC 9110, 5.3).
    forwarded = ",".join(request.headers.getlist("X-Forwarded-For"))
    return client_address(request.remote_addr or "", forwarded, guard().proxies)


def current_token() -> str:
    """The token with which they asked."""
    found: str = g.driftline_token
    return found


def csrf_token() -> str:
    """For forms and htmx: the CSRF token of this session; empty on public pages."""
    return csrf.token_for(g.driftline_token) if "driftline_token" in g else ""


def allowed(resource: str, action: str, target: str) -> bool:
    """Whether the current user may do this. `target` is `project/name` for applications, else a name or URL."""
    return allows(guard().policy(), current_user().subjects, Permission(resource, action, target))


def authorise(resource: str, action: str, target: str) -> None:
    """Answer 403 unless the current user may do this."""
    if not allowed(resource, action, target):
        denied()


def denied() -> NoReturn:
    """Answer 403, for what is forbidden and for what does not exist alike: nobody learns which (RBAC-07)."""
    refuse(403, "permission denied", Code.PERMISSION_DENIED)


def still_valid() -> Callable[[], bool]:
    """For streams: a function that says whether this token is still good, and answers from any thread.

    Ask it at least once a minute. While the database is away the last answer stands.
    """
    here, token = guard(), current_token()
    last = True

    def ask() -> bool:
        nonlocal last
        try:
            last = here.sessions.identify(token) is not None
        except Temporary:
            pass
        return last

    return ask


def set_session(response: Response, signed_in: SignedIn) -> None:
    """Give the browser its session."""
    here = guard()
    response.set_cookie(
        here.cookie,
        signed_in.token,
        max_age=here.sessions.lifetime,
        path="/",
        secure=here.https,
        httponly=True,
        samesite="Lax",
    )


def clear_session(response: Response) -> None:
    """Take the browser's session away."""
    here = guard()
    response.delete_cookie(here.cookie, path="/", secure=here.https, httponly=True, samesite="Lax")


def session_cookie() -> str:
    """The session that a browser shows on a public page, unchecked."""
    return request.cookies.get(guard().cookie, "")


def _unknown() -> Response:
    wants_page = request.method == "GET" and "text/html" in request.headers.get("Accept", "")
    if wants_page and not request.path.startswith("/api/"):
        target = request.full_path if request.query_string else request.path
        return redirect(f"/login?next={quote(target, safe='')}", 303)  # type: ignore[return-value]
    return error(401, "no session information", Code.UNAUTHENTICATED, {"WWW-Authenticate": "Bearer"})


def _forged() -> Response:
    return error(403, "the request did not come from a page of this site", Code.PERMISSION_DENIED)
