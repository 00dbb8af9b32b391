"""Repositories and credential templates. Credentials go in and never come out: answers name each field they show."""

from typing import Any

from flask import Response, jsonify

from driftline.adapters.store import repositories as rows
from driftline.adapters.store.repositories import RepositoryRow
from driftline.desired import urls
from driftline.flow import registry
from driftline.model.access import RepositoryAccess
from service.answers import Code, refuse
from service.api.asking import body, flag_in, limit_of, text_in, wrong
from service.api.routes import CONTINUE, LIMIT, Argument, Arguments, Need, Route, Scope
from service.api.serving import here, sees_all
from service.api.times import stamp
from service.auth.guard import allowed, authorise, current_user, denied

STATES = {"ok": "Successful", "unreachable": "Failed"}


def shape(row: RepositoryRow) -> dict[str, Any]:
    """What people may see of a repository, by Argo CD's names: a registry of charts is `helm` with `enableOCI`."""
    options = row.options or {}
    return {
        "repo": urls.shown_url(row.url),
        "type": "helm" if row.kind == urls.OCI and options.get("enable_oci") else row.kind,
        "name": options.get("name", ""),
        "project": row.project,
        "hasCredentials": row.credentials is not None,
        "insecure": bool(options.get("insecure")),
        "enableOCI": row.kind == urls.OCI,
        "insecureOCIForceHttp": bool(options.get("plain_http")),
        "passCredentials": bool(options.get("pass_credentials")),
        "connectionState": {
            "status": STATES.get(row.state, "Unknown"),
            "message": row.message,
            "attemptedAt": stamp(row.fetched_at or row.failing_since),
        },
        "head": row.head,
        "webhook": {"path": f"/hooks/<provider>/{row.hook_id}", "hasSecret": row.hook_secret is not None},
    }


def target(url: str, project: str) -> str:
    """How policies name a repository: its URL, in a project `project/url`."""
    return f"{project}/{url}" if project else url


def _may(row: RepositoryRow, action: str) -> bool:
    return allowed("repositories", action, target(row.url, row.project))


def _listed(templates: bool, asked: Arguments) -> Response:
    limit, after = limit_of(asked), asked["continue"] or ""
    with here().store.read() as db:
        everything = rows.everything(db, templates=templates)
    seen = [row for row in everything if row.url_normal > after and _may(row, "get")]
    if asked["project"]:
        seen = [row for row in seen if row.project == asked["project"]]
    more = {"continue": seen[limit - 1].url_normal} if len(seen) > limit else {}
    return jsonify(metadata=more, items=[shape(row) for row in seen[:limit]])


def listed(asked: Arguments) -> Response:
    """The repositories that the user may see."""
    return _listed(False, asked)


def listed_templates(asked: Arguments) -> Response:
    """Credentials that serve every repository below their URL."""
    return _listed(True, asked)


def _add(found: dict[str, Any], url: str, upsert: bool, template: bool) -> Response:
    project = text_in(found, "project")
    named = target(urls.login_of(url).url, project)
    authorise("repositories", "update" if upsert else "create", named)
    if upsert:
        authorise("repositories", "create", named)
    kind, oci = _kind(found, url)
    name = text_in(found, "name")
    if kind == urls.HELM and not name and not template:
        wrong("name: is mandatory for a repository of type helm")
    given = RepositoryAccess(
        url=url,
        kind=urls.OCI if oci else kind,
        username=text_in(found, "username"),
        password=text_in(found, "password"),
        bearer_token=text_in(found, "bearerToken"),
        ssh_private_key=text_in(found, "sshPrivateKey"),
        known_hosts=text_in(found, "knownHosts"),
        ca=text_in(found, "ca"),
        insecure=bool(flag_in(found, "insecure")),
        proxy=text_in(found, "proxy"),
        no_proxy=text_in(found, "noProxy"),
        client_certificate=text_in(found, "tlsClientCertData"),
        client_key=text_in(found, "tlsClientCertKey"),
        pass_credentials=bool(flag_in(found, "passCredentials")),
        plain_http=bool(flag_in(found, "insecureOCIForceHttp")),
    )
    wanted = registry.Registration(
        given,
        project,
        upsert,
        check=not flag_in(found, "skipCheck"),
        template=template,
        hook_secret=text_in(found, "webhookSecret"),
        name=name,
        charts_only=kind == urls.HELM and oci,
    )
    return jsonify(shape(registry.add_repository(here(), wanted, current_user().name)))


def _kind(found: dict[str, Any], url: str) -> tuple[str, bool]:
    """Argo CD's `type`, and whether it is spoken to as a registry."""
    kind = text_in(found, "type") or urls.GIT
    if kind not in (urls.GIT, urls.HELM, urls.OCI):
        wrong(f"type: {kind!r} is none of git, helm and oci")
    if flag_in(found, "enableOCI") and kind == urls.GIT:
        wrong("enableOCI: goes with type helm")
    oci = kind == urls.OCI or bool(flag_in(found, "enableOCI"))
    if kind == urls.HELM and url.lower().startswith(urls.OCI_SCHEME):
        oci = True
    return kind, oci


def added(asked: Arguments) -> Response:
    """Register a repository, after asking its host whether it can be read."""
    found = body()
    return _add(found, _url(found), bool(asked["upsert"]), template=False)


def added_template(asked: Arguments) -> Response:
    """Register credentials for every repository below a URL."""
    found = body()
    return _add(found, _url(found), bool(asked["upsert"]), template=True)


def replaced(asked: Arguments, url: str) -> Response:
    """Change how a repository is reached. What kind it is and what it is called stay where the body does not say."""
    found = body()
    with here().store.read() as db:
        known = rows.by_urls(db, urls.identities(url)) if "\x00" not in url else []
    row = next((row for row in known if row.project == text_in(found, "project")), None)
    if row is not None and "type" not in found and _may(row, "get"):
        found = {**{name: shape(row)[name] for name in ("type", "name", "enableOCI")}, **found}
    if text_in(found, "repo", url) not in ("", url):
        wrong("repo: differs from the URL in the path")
    return _add(found, url, upsert=True, template=False)


def _url(found: dict[str, Any]) -> str:
    url = text_in(found, "repo") or text_in(found, "url")
    if not url:
        wrong("repo: want the repository's URL")
    return url


def got(asked: Arguments, url: str) -> Response:
    """One repository."""
    return jsonify(shape(_find(url, asked, "get")))


def removed(asked: Arguments, url: str) -> Response:
    """Forget a repository that no application reads."""
    row = _find(url, asked, "delete")
    registry.remove_repository(here(), row.url, current_user().name, row.project)
    return jsonify({})


def _find(url: str, asked: Arguments, action: str) -> RepositoryRow:
    project = asked["project"] or asked["appProject"] or ""
    with here().store.read() as db:
        known = rows.by_urls(db, urls.identities(url)) if "\x00" not in url else []
    found = next((row for row in known if row.project == project), None)
    if found is None or not _may(found, "get"):
        if found is None and sees_all("repositories"):
            refuse(404, f"{urls.shown_url(url)}: is not registered", Code.NOT_FOUND)
        denied()
    authorise("repositories", action, target(found.url, found.project))
    return found


_UPSERT = Argument("upsert", "Change it if it is registered already.", "boolean")
_PROJECT = (Argument("project", "The project that it belongs to."), Argument("appProject", "The same."))


def _need(action: str) -> Need:
    return Need("repositories", action, Scope.NAMED)


ROUTES = (
    Route(
        "GET",
        "/api/v1/repositories",
        listed,
        "List repositories",
        Need("repositories", "get", Scope.LISTED),
        (_PROJECT[0], LIMIT, CONTINUE),
        answer="RepositoryList",
    ),
    Route(
        "POST",
        "/api/v1/repositories",
        added,
        "Register a repository",
        _need("create"),
        (_UPSERT,),
        body="RepositoryRequest",
        answer="Repository",
    ),
    Route("GET", "/api/v1/repositories/{url}", got, "One repository", _need("get"), _PROJECT, answer="Repository"),
    Route(
        "PUT",
        "/api/v1/repositories/{url}",
        replaced,
        "Change a repository's credentials",
        _need("update"),
        body="RepositoryRequest",
        answer="Repository",
    ),
    Route("DELETE", "/api/v1/repositories/{url}", removed, "Forget a repository", _need("delete"), _PROJECT),
    Route(
        "GET",
        "/api/v1/repocreds",
        listed_templates,
        "List credential templates",
        Need("repositories", "get", Scope.LISTED),
        (_PROJECT[0], LIMIT, CONTINUE),
        answer="RepositoryList",
    ),
    Route(
        "POST",
        "/api/v1/repocreds",
        added_template,
        "Register credentials for all repositories below a URL",
        _need("create"),
        (_UPSERT,),
        body="RepositoryRequest",
        answer="Repository",
    ),
)
