"""Who may ask what: every route of the table, for nobody, a stranger, a reader and an administrator."""

import json
from urllib.parse import quote

import pytest

from service.api.routes import Route, Scope
from service.api.table import ROUTES
from tests.kit.site import REPO, Site, declaration, lived_in

NAMES = {
    "name": "shop",
    "sync": "1",
    "url": quote(REPO, safe=""),
    "cluster": "in-cluster",
    "job": "1",
    "account": "rita",
}
BODIES = {
    "Application": declaration("other"),
    "RepositoryRequest": {"repo": "https://git.example/new.git"},
    "ClusterRequest": {"name": "east", "server": "https://east.example"},
}


def path_of(route: Route) -> str:
    return route.path.format(**NAMES)


def body_of(route: Route) -> object:
    if route.path.endswith("/applications/{name}"):
        return declaration("shop") if route.body == "Application" else {"patch": "{}"}
    return {} if route.path.endswith("{url}") else BODIES.get(route.body, {})


def ask(site: Site, route: Route, who: str) -> int:
    body = body_of(route) if route.method not in ("GET", "DELETE") else None
    return site.ask(route.method, path_of(route), who, body).status_code


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.covers("API-01")
def test_nobody_gets_in_without_a_valid_token(site: Site) -> None:
    lived_in(site)
    site.tokens["mallory"] = "dlt_" + "x" * 43
    let_in = [(named(route), who) for route in ROUTES for who in ("", "mallory") if ask(site, route, who) != 401]
    assert let_in == []


def test_who_has_no_right_is_refused_and_sees_nothing(site: Site) -> None:
    lived_in(site)
    for route in ROUTES:
        if route.need.scope is Scope.LISTED:
            assert site.get(path_of(route), "nora")["items"] == [], named(route)
        else:
            wanted = 200 if route.need.scope is Scope.SIGNED_IN else 403
            assert ask(site, route, "nora") == wanted, named(route)


def test_a_reader_reads_and_changes_nothing(site: Site) -> None:
    lived_in(site)
    before = site.get("/api/v1/applications/shop")
    for route in ROUTES:
        assert (ask(site, route, "rita") == 403) == (route.method != "GET"), named(route)
    assert site.get("/api/v1/applications/shop") == before


def test_an_administrator_is_let_in_everywhere(site: Site) -> None:
    lived_in(site)
    answers = {named(route): ask(site, route, "ada") for route in ROUTES}
    assert {name: status for name, status in answers.items() if status in (401, 403, 405, 415, 500)} == {}


def test_every_route_of_the_application_is_in_the_table_or_proves_itself(site: Site) -> None:
    """A route that somebody adds without saying who may ask it fails here."""
    table = {(route.method, route.path.replace("{", "<").replace("}", ">")) for route in ROUTES}
    signing_in = {"/api/v1/session", "/api/v1/session/userinfo", "/api/v1/account/password"}
    signing_in |= {"/api/v1/account/<name>/token", "/api/v1/account/<name>/token/<credential_id>"}
    unknown = [
        (method, rule.rule)
        for rule in site.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/") and rule.rule not in signing_in and rule.rule != "/api/webhook"
        if (method, rule.rule.replace("<path:", "<")) not in table
    ]
    assert unknown == []


def test_what_is_not_there_and_what_is_forbidden_look_the_same(site: Site) -> None:
    lived_in(site)
    there = site.ask("GET", "/api/v1/applications/shop", "nora")
    absent = site.ask("GET", "/api/v1/applications/nothing", "nora")
    assert (there.status_code, there.get_data()) == (absent.status_code, absent.get_data())
    for path in ("/api/v1/clusters/in-cluster", "/api/v1/clusters/other"):
        assert site.ask("GET", path, "nora").status_code == 403
    # Who sees everything anyway is told the truth.
    assert site.ask("GET", "/api/v1/applications/nothing", "rita").status_code == 404


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_changes_are_json_or_refused(site: Site, kind: str) -> None:
    text = json.dumps(declaration())
    headers = {"Authorization": f"Bearer {site.tokens['ada']}", "Content-Type": kind}
    answer = site.app.test_client().post("/api/v1/applications", data=text, headers=headers)
    assert answer.status_code == 415
    assert site.get("/api/v1/applications")["items"] == []
