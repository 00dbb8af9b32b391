"""The API as a whole: readiness, errors in one shape, the OpenAPI document, and requests that nobody thought of."""

from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftline.adapters.store import migrating
from service.api.health import newest_migration
from service.api.patching import BadPatch, merged, patched
from service.api.table import ROUTES
from tests.kit.site import Site, lived_in


def test_readiness_is_the_database_with_this_versions_tables(site: Site, tmp_path: Path) -> None:
    assert site.ask("GET", "/healthz", "").status_code == 200
    assert site.ask("GET", "/readyz", "").status_code == 200
    assert [newest_migration()] == migrating.heads()
    with site.store.write() as db:
        db.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    answer = site.ask("GET", "/readyz", "")
    assert answer.status_code == 503 and "driftline migrate" in answer.get_json()["message"]
    assert site.ask("GET", "/healthz", "").status_code == 200


def test_readiness_says_so_when_there_is_no_table_at_all(tmp_path: Path) -> None:
    from driftline.adapters.settings import Settings
    from driftline.flow.assemble import make_edges
    from service.web import create_app

    edges = make_edges(Settings(data_dir=tmp_path, database_url=f"sqlite:///{tmp_path}/empty.db"))
    answer = create_app(edges).test_client().get("/readyz")
    assert answer.status_code == 503 and "migrate" in answer.get_json()["message"]
    edges.close()


def test_every_answer_has_the_security_headers(site: Site) -> None:
    for path in ("/api/v1/applications", "/api/v1/nothing", "/healthz"):
        headers = site.ask("GET", path).headers
        assert (
            headers["X-Content-Type-Options"] == "nosniff"
            and "default-src 'none'" in headers["Content-Security-Policy"]
        )


def test_what_is_no_route_answers_in_the_apis_shape(site: Site) -> None:
    answer = site.ask("GET", "/api/v1/nothing")
    assert answer.status_code == 404 and answer.get_json().keys() == {"error", "code", "message"}
    assert site.ask("PUT", "/api/v1/applications", body={}).status_code == 405


def test_a_fault_of_ours_is_reported_and_not_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from driftline.adapters.store import deliveries

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(deliveries, "recent", broken)
    answer = site.ask("GET", "/api/v1/deliveries")
    assert answer.status_code == 500
    assert answer.get_json()["code"] == 13 and "secret detail" not in answer.get_data(as_text=True)


@pytest.mark.covers("API-03")
def test_signing_in_gives_a_token_that_the_api_takes(site: Site) -> None:
    client = site.app.test_client()
    answer = client.post("/api/v1/session", json={"username": "ada", "password": "correct horse battery"})
    site.tokens["session"] = answer.get_json()["token"]
    assert site.get("/api/v1/session/userinfo", "session")["username"] == "ada"
    assert site.get("/api/version", "session")["Version"]


def test_the_document_has_every_route_and_all_it_refers_to(site: Site) -> None:
    document = site.get("/api/v1/openapi.json")
    assert {(method.upper(), path) for path, item in document["paths"].items() for method in item} == {
        (route.method, route.path) for route in ROUTES
    }
    assert {route.body for route in ROUTES if route.body} | {route.answer for route in ROUTES} <= document[
        "components"
    ]["schemas"].keys()
    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))


NEEDS_OUTSIDE = ("/api/v1/alerts/test", "/api/v1/repositories", "/api/v1/repocreds", "/api/v1/clusters")
"""POSTs to these would speak to whatever host the generator thinks of."""


def test_requests_that_nobody_thought_of_never_break_the_server(both: Site) -> None:
    """Generated from the document: whatever comes, the answer is no fault of ours and has the announced shape."""
    site = both
    lived_in(site)
    headers = {"Authorization": f"Bearer {site.tokens['ada']}"}
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", site.app, headers=headers)
    tried = 0
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if operation.method.upper() in ("POST", "PUT") and operation.path.startswith(NEEDS_OUTSIDE):
            continue

        @hypothesis.seed(3)
        @given(case=operation.as_strategy())
        @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        def attempt(case: Any) -> None:
            answer = case.call(headers=headers)
            assert answer.status_code < 500 or answer.status_code == 503, (case.method, case.formatted_path)
            assert answer.status_code != 401
            if answer.status_code >= 400:
                assert set(answer.json()) == {"error", "code", "message"}

        attempt()
        tried += 1
    assert tried > 25


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text("ab~/", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/", max_size=2), inner, max_size=3),
    max_leaves=12,
)


@given(VALUES, VALUES)
def test_a_merge_patch_leaves_the_document_and_is_idempotent(document: Any, patch: Any) -> None:
    before = repr(document)
    once = merged(document, patch)
    assert merged(once, patch) == once
    assert repr(document) == before
    assert merged(document, {}) == (document if isinstance(document, dict) else {})


@given(VALUES, VALUES)
def test_a_json_patch_of_the_whole_replaces_it(document: Any, other: Any) -> None:
    assert patched(document, [{"op": "replace", "path": "", "value": other}]) == other
    assert patched(document, []) == document


@given(
    st.dictionaries(st.text("ab~/", min_size=1, max_size=2), VALUES, max_size=3), st.text("ab~/", max_size=2), VALUES
)
def test_what_a_json_patch_adds_it_finds_and_removes(document: dict[str, Any], name: str, value: Any) -> None:
    path = "/" + name.replace("~", "~0").replace("/", "~1")
    added = patched(document, [{"op": "add", "path": path, "value": value}])
    assert added == {**document, name: value}
    patched(added, [{"op": "test", "path": path, "value": value}])
    removed = patched(added, [{"op": "remove", "path": path}])
    assert removed == {key: each for key, each in document.items() if key != name}
    with pytest.raises(BadPatch):
        patched(removed, [{"op": "remove", "path": path}])
