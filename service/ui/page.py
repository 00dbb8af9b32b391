"""What all pages share: the outside of this process, who may see what, and how a template becomes an answer."""

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, NoReturn
from urllib.parse import urlencode

from flask import Response, abort, current_app, g, make_response, render_template, request, url_for

from driftline.adapters.store import applications
from driftline.adapters.store.applications import ApplicationRow
from driftline.flow.edges import Edges
from service.auth.guard import allowed, current_user, guard

EXTENSION = "driftline.ui"
PAGE = 50
"""Rows of one page of a list."""
THEME_COOKIE = "driftline_theme"
THEMES = ("light", "dark")

_AGE = re.compile(r"(<time\b[^>]*>)[^<]*")


def here() -> Edges:
    """The outside of this process."""
    found: Edges = current_app.extensions[EXTENSION]
    return found


def now() -> datetime:
    """The time of this request, the same wherever it is asked."""
    if "ui_now" not in g:
        g.ui_now = here().now()
    found: datetime = g.ui_now
    return found


def page(template: str, status: int = 200, **values: Any) -> Response:
    """A whole page."""
    now()
    return make_response(render_template(f"ui/{template}", **values), status)


def fragment(template: str, **values: Any) -> Response:
    """Parts of a page that is open already; 304 if nothing in them is news.

    Ages do not count: the script counts them up by itself.
    """
    now()
    text = render_template(f"ui/{template}", **values)
    response = make_response(text)
    response.set_etag(sha256(_AGE.sub(r"\1", text).encode("utf-8", "surrogatepass")).hexdigest()[:32])
    response.make_conditional(request)
    return response


def theme() -> str:
    """The theme that the reader chose; empty: as their system has it."""
    found = request.cookies.get(THEME_COOKIE, "")
    return found if found in THEMES else ""


def application(name: str, action: str = "get") -> ApplicationRow:
    """The application of this name, if the reader may see it and do this with it.

    What they may not see is not found, so that nobody learns which names exist; what they may not do is forbidden.
    """
    with here().store.read() as db:
        row = applications.get(db, name) if "\x00" not in name else None
    if row is None or not may("get", row):
        abort(404, "There is no such application, or you may not see it.")
    if not may(action, row):
        forbidden(f"{action} applications of project {row.project}")
    return row


def may(action: str, row: Any) -> bool:
    """Whether the reader may do this with an application."""
    return allowed("applications", action, f"{row.project}/{row.name}")


def sees_all() -> bool:
    """Whether the reader may see every application, and so what is told about all of them together."""
    denies = any(not rule.allow for rule in guard().policy().rules)
    # Only a rule for any project and any name covers a star in both places.
    return not denies and allowed("applications", "get", "*/*")


def may_system(action: str = "get") -> bool:
    """Whether the reader may see or change what belongs to no single application: deliveries, jobs, messages."""
    return allowed("system", action, "*")


def need_system(action: str = "get") -> None:
    """Refuse those who may not."""
    if not may_system(action):
        forbidden(f"{action} system")


def forbidden(what: str) -> NoReturn:
    """Answer 403 and name the right that is missing."""
    abort(403, f"{current_user().name} may not {what}. An administrator can allow it in the policy.")


def address(endpoint: str, query: Mapping[str, str], **path: str) -> str:
    """The address of a page with a query. What the reader sent never becomes an option of `url_for`."""
    given = urlencode({name: value for name, value in query.items() if value})
    plain = url_for(f"ui.{endpoint}", _external=False, **path)
    return f"{plain}?{given}" if given else plain


def argument(name: str, longest: int = 200) -> str:
    """A query parameter, trimmed; what cannot be a text of the database counts as not given."""
    found = request.args.get(name, "").strip()
    return found if len(found) <= longest and "\x00" not in found else ""


def number_argument(name: str) -> int | None:
    """A query parameter that is the number of a row."""
    found = request.args.get(name, "")
    return int(found) if found.isascii() and found.isdecimal() and len(found) <= 18 else None
