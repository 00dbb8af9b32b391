"""Applications: list, look, create, change, delete (API-02), with Argo CD's parameters and shapes."""

from typing import Any

from flask import Response, jsonify
from sqlalchemy import Connection, func, select

from driftline.adapters.store import applications as rows
from driftline.adapters.store import histories, syncs
from driftline.adapters.store.applications import ApplicationRow, Filter
from driftline.adapters.store.tables import sync
from driftline.desired import urls
from driftline.flow import inspect, operate
from driftline.flow.declare import declare
from driftline.formats.application import API_VERSION
from driftline.formats.application import application as parse
from driftline.model.errors import Permanent
from service import strict_json
from service.answers import Code, refuse
from service.api import logins, shapes
from service.api.asking import body, limit_of, no_nul, section_in, text_in, wrong
from service.api.patching import BadPatch, merged, patched
from service.api.routes import CONTINUE, LIMIT, Argument, Arguments, Need, Route, Scope
from service.api.selectors import BadSelector, Matches, selector
from service.api.serving import fresh, here
from service.auth.guard import allowed, authorise, current_user, denied

MOST_PAGES = 50
"""Pages of the database that one list looks through for what the filters let pass; then it says where to go on."""


def listed(asked: Arguments) -> Response:
    """Applications by name, a page at a time."""
    edges = here()
    limit = limit_of(asked)
    where = Filter(
        projects=asked["projects"] or asked["project"] or None, contains=asked["name"] or asked["search"] or ""
    )
    fits = _fits(asked)
    found: list[ApplicationRow] = []
    after, more = asked["continue"] or "", ""
    for _ in range(MOST_PAGES):
        with edges.store.read() as db:
            page = rows.page(db, where, after, limit)
            known = rows.by_ids(db, [brief.id for brief in page.rows])
        for brief in page.rows:
            row = known.get(brief.id)
            if row is None or not _visible(row) or not fits(row):
                continue
            if len(found) == limit:
                more = found[-1].name
                break
            found.append(row)
        after = page.after
        if more or not after:
            break
    else:
        more = after
    last = _last_syncs([row.id for row in found])
    items = [shapes.application(row, edges.installation, shapes.Known(brief=last.get(row.id))) for row in found]
    metadata = {"continue": more} if more else {}
    return jsonify(apiVersion=API_VERSION, kind="ApplicationList", metadata=metadata, items=items)


def _visible(row: ApplicationRow) -> bool:
    return allowed("applications", "get", f"{row.project}/{row.name}")


def _fits(asked: Arguments) -> Any:
    """What the database cannot filter: exact names, labels, repositories."""
    try:
        labels: Matches = selector(asked["selector"] or "")
    except BadSelector as problem:
        wrong(str(problem))
    name, repos = asked["name"] or "", set(urls.identities(asked["repo"]) if asked["repo"] else ())

    def fits(row: ApplicationRow) -> bool:
        if name and row.name != name:
            return False
        return labels(row.labels or {}) and (not repos or bool(repos & _repositories(row)))

    return fits


def _repositories(row: ApplicationRow) -> set[str]:
    spec = row.document.get("spec") or {}
    sources = spec.get("sources") or [spec.get("source") or {}]
    named = ((str(each["repoURL"]), str(each.get("chart") or "")) for each in sources if each.get("repoURL"))
    return {urls.identity(url, urls.kind_of(url, chart)) for url, chart in named}


def _last_syncs(ids: list[int]) -> dict[int, syncs.SyncBrief]:
    """The newest sync of each application in one statement, without the plans and results that lists do not show."""
    newest = select(func.max(sync.c.id)).where(sync.c.application_id.in_(ids)).group_by(sync.c.application_id)
    with here().store.read() as db:
        rows = syncs.BRIEF.all(db.execute(syncs.BRIEF.select().where(sync.c.id.in_(newest)))) if ids else []
    return {row.application_id: row for row in rows}


def _sync(db: Connection, row: ApplicationRow) -> syncs.SyncRow | None:
    last = syncs.of_application(db, row.id, limit=1)
    return syncs.get(db, last[0].id) if last else None


def shown(row: ApplicationRow) -> dict[str, Any]:
    """One application with everything that is known of it."""
    edges = here()
    with edges.store.read() as db:
        known = shapes.Known(_sync(db, row), history=histories.of_application(db, row.id))
    nodes = inspect.tree(edges, row.name)
    full = shapes.Known(known.sync, history=known.history, nodes=nodes)
    return shapes.application(row, edges.installation, full)


def got(asked: Arguments, row: ApplicationRow) -> Response:
    """One application. `refresh` asks for a new look, and answers with what is known now."""
    if asked["refresh"]:
        operate.refresh(here(), row.name, hard=asked["refresh"] == "hard")
        row = fresh(row.name)
    return jsonify(shown(row))


def created(asked: Arguments) -> Response:
    """Declare an application. The same declaration again changes nothing; another one needs `upsert`."""
    document = body()
    return _declared(document, upsert=bool(asked["upsert"]))


def replaced(asked: Arguments, row: ApplicationRow) -> Response:
    """Declare the application anew, in whole."""
    return _declared(_same_name(body(), row), upsert=True, before=row)


def respecified(asked: Arguments, row: ApplicationRow) -> Response:
    """Give the application another `spec`; answers with the spec."""
    document = {**row.document, "spec": body()}
    _declared(document, upsert=True, before=row)
    return jsonify(logins.hidden(fresh(row.name).document.get("spec") or {}))


def changed(asked: Arguments, row: ApplicationRow) -> Response:
    """Apply a patch, given as text, to the declaration."""
    found = body()
    kind = text_in(found, "patchType", "merge")
    try:
        if kind == "merge":
            document = merged(row.document, strict_json.parse(_patch_text(found)))
        elif kind == "json":
            # Only objects are read strictly, so the list travels inside one.
            wrapped = strict_json.parse(b'{"patch":' + _patch_text(found) + b"}")
            document = patched(row.document, wrapped["patch"])
        else:
            wrong("patchType: want json or merge")
    except (strict_json.Malformed, UnicodeEncodeError):
        wrong("patch: is not valid JSON")
    except BadPatch as problem:
        wrong(str(problem))
    if not isinstance(document, dict):
        wrong("patch: leaves no application")
    return _declared(_same_name(document, row), upsert=True, before=row)


def _patch_text(found: dict[str, Any]) -> bytes:
    text = text_in(found, "patch").encode()
    no_nul(text)
    return text


def deleted(asked: Arguments, row: ApplicationRow) -> Response:
    """Delete. Without `cascade` its finalizer decides what becomes of its objects."""
    policy = asked["propagationPolicy"] or "foreground"
    operate.remove(here(), row.name, current_user().name, asked["cascade"], policy)
    return jsonify({})


def _same_name(document: dict[str, Any], row: ApplicationRow) -> dict[str, Any]:
    document = {"apiVersion": API_VERSION, "kind": "Application", **document}
    if (section_in(document, "metadata").get("name") or row.name) != row.name:
        wrong(f"metadata.name: the application's name is {row.name} and cannot change")
    return {**document, "metadata": {**section_in(document, "metadata"), "name": row.name}}


def _declared(document: dict[str, Any], upsert: bool, before: ApplicationRow | None = None) -> Response:
    """Save a declaration, if the user may: in its project, and in the one that it leaves."""
    app = parse({"apiVersion": API_VERSION, "kind": "Application", **document})
    target = f"{app.project}/{app.name}"
    with here().store.read() as db:
        known = before or rows.get(db, app.name)
    if known is None:
        authorise("applications", "create", target)
    else:
        # Whoever may not see the application that has this name learns nothing but that they may not have it.
        if not _visible(known):
            denied()
        action = "update" if upsert else "create"
        authorise("applications", action, f"{known.project}/{known.name}")
        authorise("applications", action, target)
    if known is not None:
        app = parse(logins.put_back(app.document, known.document))
    try:
        declare(here(), [app.document], current_user().name, upsert)
    except Permanent as failure:
        if known is not None and "use upsert flag" in failure.message:
            refuse(400, failure.message, Code.INVALID_ARGUMENT)
        raise
    return jsonify(shown(fresh(app.name)))


_APPLICATION = "/api/v1/applications/{name}"
_FILTERS = (
    Argument("projects", "Only of these projects.", many=True),
    Argument("project", "The same, as older clients send it.", many=True),
    Argument("selector", "Only with these labels: `app=web,tier in (a,b),!old`."),
    Argument("repo", "Only those that read this repository."),
    Argument("name", "Only the one with this name."),
    Argument("search", "Only those whose name contains this."),
)


def _on_one(action: str) -> Need:
    return Need("applications", action, Scope.APPLICATION)


ROUTES = (
    Route(
        "GET",
        "/api/v1/applications",
        listed,
        "List applications, by name",
        Need("applications", "get", Scope.LISTED),
        (*_FILTERS, LIMIT, CONTINUE),
        answer="ApplicationList",
    ),
    Route(
        "POST",
        "/api/v1/applications",
        created,
        "Create an application",
        Need("applications", "create", Scope.NAMED),
        (
            Argument("upsert", "Change the application if it exists with another spec.", "boolean"),
            Argument("validate", "Accepted; declarations are always validated.", "boolean"),
        ),
        body="Application",
        answer="Application",
    ),
    Route(
        "GET",
        _APPLICATION,
        got,
        "One application with its status",
        _on_one("get"),
        (Argument("refresh", "Fetch and compare again; `hard` renders again, too.", choices=("normal", "hard")),),
        answer="Application",
    ),
    Route(
        "PUT",
        _APPLICATION,
        replaced,
        "Replace an application's declaration",
        _on_one("update"),
        body="Application",
        answer="Application",
    ),
    Route(
        "PUT",
        f"{_APPLICATION}/spec",
        respecified,
        "Replace an application's spec",
        _on_one("update"),
        body="Object",
        answer="Object",
    ),
    Route(
        "PATCH",
        _APPLICATION,
        changed,
        "Patch an application's declaration",
        _on_one("update"),
        body="PatchRequest",
        answer="Application",
    ),
    Route(
        "DELETE",
        _APPLICATION,
        deleted,
        "Delete an application",
        _on_one("delete"),
        (
            Argument("cascade", "Whether its objects are deleted, too.", "boolean"),
            Argument(
                "propagationPolicy",
                "How the API server deletes what depends on them.",
                choices=("foreground", "background"),
            ),
        ),
    ),
)
