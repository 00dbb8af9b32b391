"""Applications over the API, in the shapes that clients written for Argo CD read."""

import json
from typing import Any

import pytest

from driftline.adapters.store import applications
from tests.kit.databases import count_statements
from tests.kit.site import COMMIT, CONFIG, REPO, Site, declaration, lived_in

LIST = "/api/v1/applications"
SHOP = f"{LIST}/shop"


@pytest.mark.covers("API-02")
def test_an_application_is_created_and_its_repository_fetched(both: Site) -> None:
    found = both.ask("POST", LIST, body=declaration()).get_json()
    assert found["metadata"]["name"] == "shop" and found["metadata"]["labels"] == {"team": "web"}
    assert found["spec"] == declaration()["spec"]
    assert found["status"]["sync"]["status"] == "Unknown"
    assert [hint.queue for hint in both.hints] == ["fast"]
    assert [app["metadata"]["name"] for app in both.get(LIST)["items"]] == ["shop"]


@pytest.mark.covers("OBJ-20")
def test_the_same_again_is_fine_and_another_spec_needs_upsert(both: Site) -> None:
    both.create()
    assert both.ask("POST", LIST, body=declaration()).status_code == 200
    other = declaration(source={"repoURL": REPO, "path": "elsewhere"})
    refused = both.ask("POST", LIST, body=other)
    assert refused.status_code == 400
    assert "existing application spec is different, use upsert flag to force update" in refused.get_json()["message"]
    assert both.ask("POST", f"{LIST}?upsert=true", body=other).status_code == 200
    assert both.get(SHOP)["spec"]["source"]["path"] == "elsewhere"


def test_a_login_in_a_source_url_is_never_shown_and_survives_what_was_shown(both: Site) -> None:
    url, starred = "https://dana:hunter2@git.test/shop.git", "https://********@git.test/shop.git"

    def kept() -> str:
        with both.edges.store.read() as db:
            row = applications.get(db, "shop")
        assert row is not None
        return str(row.document["spec"]["source"]["repoURL"])

    given = declaration(source={"repoURL": url, "path": "web"})
    answers = [both.ask("POST", LIST, body=given), both.ask("GET", SHOP), both.ask("GET", LIST)]
    shown = answers[1].get_json()
    assert shown["spec"]["source"]["repoURL"] == starred and kept() == url
    shown["spec"]["source"]["path"] = "other"
    answers += [
        both.ask("POST", f"{LIST}?upsert=true", body=shown),
        both.ask("PUT", f"{SHOP}/spec", body=shown["spec"]),
    ]
    assert [each.status_code for each in answers] == [200] * 5
    assert not any("hunter2" in each.get_data(as_text=True) for each in answers)
    assert kept() == url, "a client that sends back what it read changes no login"
    shown["spec"]["source"]["repoURL"] = "https://git.test/shop.git"
    both.ask("PUT", f"{SHOP}/spec", body=shown["spec"])
    assert kept() == "https://git.test/shop.git", "a login can be taken out"


@pytest.mark.covers("OBJ-11")
@pytest.mark.covers("OBJ-10")
def test_one_application_has_argo_cds_fields(both: Site) -> None:
    lived_in(both)
    app = both.get(SHOP)
    assert (app["apiVersion"], app["kind"]) == ("argoproj.io/v1alpha1", "Application")
    assert {"name", "namespace", "uid", "creationTimestamp", "resourceVersion", "generation"} <= app["metadata"].keys()
    status = app["status"]
    assert status["sync"]["status"] == "OutOfSync" and status["sync"]["revision"] == COMMIT
    assert status["sync"]["comparedTo"]["source"]["repoURL"] == REPO
    assert status["health"]["status"] == "Healthy" and "lastTransitionTime" in status["health"]
    assert status["sourceType"] == "Directory" and status["summary"]["images"] == ["nginx:1.27"]
    assert status["conditions"][0].keys() == {"type", "message", "lastTransitionTime"}
    conf = next(each for each in status["resources"] if each["kind"] == "ConfigMap")
    assert conf["status"] == "OutOfSync" and conf["version"] == "v1" and conf["health"] == {"status": "Healthy"}
    assert [each["id"] for each in status["history"]] == [0, 1]
    last = status["history"][-1]
    assert (
        last["revision"] == COMMIT and last["initiatedBy"] == {"username": "ada"} and last["source"]["repoURL"] == REPO
    )
    state = status["operationState"]
    assert state["phase"] == "Succeeded" and {"startedAt", "finishedAt", "message", "operation"} <= state.keys()
    assert state["operation"]["sync"]["prune"] is True and state["operation"]["initiatedBy"] == {"username": "ada"}
    assert state["syncResult"]["revision"] == COMMIT
    first, hook = state["syncResult"]["resources"]
    assert (first["kind"], first["name"], first["status"]) == ("ConfigMap", CONFIG.name, "Synced")
    assert (hook["hookType"], hook["hookPhase"]) == ("PreSync", "Succeeded")


@pytest.mark.covers("OBJ-12")
def test_phases_that_argo_cd_does_not_know_are_told_in_its_words(site: Site) -> None:
    number = lived_in(site)
    from driftline.adapters.store import syncs
    from driftline.adapters.store.tables import sync

    with site.store.write() as db:
        held = syncs.create(db, number, "manual", stage="held", initiated_by="ada")
        db.execute(sync.update().where(sync.c.id == held).values(phase="Held", message="deletes Namespace/shop"))
    status = site.get(SHOP)["status"]
    assert status["operationState"]["phase"] == "Running"
    assert "deletes Namespace/shop" in status["operationState"]["message"]
    assert status["driftline"]["sync"]["phase"] == "Held"


def names(found: Any) -> list[str]:
    return [app["metadata"]["name"] for app in found["items"]]


@pytest.mark.covers("API-02")
def test_a_list_is_filtered_by_what_argo_cd_filters_by(both: Site) -> None:
    for name in ("api", "shop", "shop-db"):
        both.create(name)
    other = declaration("other", source={"repoURL": "https://git.example/other.git", "path": "."})
    other["metadata"]["labels"] = {"team": "data", "tier": "back"}
    both.ask("POST", LIST, body=other)
    assert names(both.get(LIST)) == ["api", "other", "shop", "shop-db"]
    assert names(both.get(LIST, name="shop")) == ["shop"]
    assert names(both.get(LIST, search="SHOP")) == ["shop", "shop-db"]
    assert names(both.get(LIST, repo="https://GIT.example/team/shop")) == ["api", "shop", "shop-db"]
    assert names(both.get(LIST, selector="team=data,tier in (back,front)")) == ["other"]
    assert names(both.get(LIST, selector="!tier,team!=data")) == ["api", "shop", "shop-db"]
    assert names(both.get(LIST, projects="other")) == []
    assert both.ask("GET", f"{LIST}?selector=a b c").status_code == 400


def test_pages_follow_each_other_and_end(both: Site) -> None:
    every = [f"app-{number}" for number in range(7)]
    for name in every:
        both.create(name)
    seen: list[str] = []
    more = ""
    for _ in range(4):
        page = both.get(LIST, limit=2, **{"continue": more})
        assert len(page["items"]) <= 2
        seen += names(page)
        more = page["metadata"].get("continue", "")
    assert seen == every and more == ""


def test_a_page_with_a_filter_loses_nothing(site: Site) -> None:
    for number in range(6):
        body = declaration(f"app-{number}")
        body["metadata"]["labels"] = {"odd": str(number % 2)}
        site.ask("POST", LIST, body=body)
    first = site.get(LIST, limit=2, selector="odd=1")
    rest = site.get(LIST, limit=2, selector="odd=1", **{"continue": first["metadata"]["continue"]})
    assert names(first) + names(rest) == ["app-1", "app-3", "app-5"]


@pytest.mark.parametrize("limit", ["-1", "x", "1e9", "99999999999999999999"])
def test_a_limit_that_is_none_is_refused(site: Site, limit: str) -> None:
    assert site.ask("GET", f"{LIST}?limit={limit}").status_code == 400


def test_spec_and_declaration_are_replaced(site: Site) -> None:
    site.create()
    spec = {**declaration()["spec"], "source": {"repoURL": REPO, "path": "two"}}
    assert site.ask("PUT", f"{SHOP}/spec", body=spec).get_json()["source"]["path"] == "two"
    changed = declaration(source={"repoURL": REPO, "path": "three"})
    assert site.ask("PUT", SHOP, body=changed).get_json()["spec"]["source"]["path"] == "three"
    assert site.ask("PUT", SHOP, body=declaration("another")).status_code == 400


def test_patches_of_both_kinds_apply_and_bad_ones_change_nothing(site: Site) -> None:
    site.create()
    merge = {"patch": json.dumps({"spec": {"syncPolicy": {"automated": {}}}}), "patchType": "merge"}
    assert site.ask("PATCH", SHOP, body=merge).get_json()["spec"]["syncPolicy"] == {"automated": {}}
    operations = [
        {"op": "test", "path": "/spec/source/path", "value": "deploy"},
        {"op": "replace", "path": "/spec/source/path", "value": "two"},
        {"op": "remove", "path": "/spec/syncPolicy"},
    ]
    found = site.ask("PATCH", SHOP, body={"patch": json.dumps(operations), "patchType": "json"}).get_json()
    assert found["spec"]["source"]["path"] == "two" and "syncPolicy" not in found["spec"]
    for bad in ([{"op": "remove", "path": "/spec/nothing"}], [{"op": "explode", "path": "/spec"}], {"op": "add"}, [1]):
        assert site.ask("PATCH", SHOP, body={"patch": json.dumps(bad), "patchType": "json"}).status_code == 400
    assert site.ask("PATCH", SHOP, body={"patch": "{", "patchType": "merge"}).status_code == 400
    assert site.get(SHOP)["spec"]["source"]["path"] == "two"


@pytest.mark.parametrize("place", ["labels", "annotations"])
def test_a_nul_character_is_refused_wherever_it_hides(both: Site, place: str) -> None:
    """PostgreSQL cannot keep one, and an escape inside the text of a patch is found as well."""
    body = declaration()
    body["metadata"][place] = {"a": "b\x00c"}
    assert both.ask("POST", LIST, body=body).status_code == 400
    both.create()
    patch = json.dumps({"metadata": {place: {"a": "b\x00c"}}})
    assert both.ask("PATCH", SHOP, body={"patch": patch}).status_code == 400
    both.ask("PATCH", SHOP, body={"patch": json.dumps({"metadata": {"annotations": {"a": "\\u0000"}}})})
    assert both.get(SHOP)["metadata"]["annotations"] == {"a": "\\u0000"}


def test_a_declaration_that_is_wrong_names_its_field(site: Site) -> None:
    body = declaration()
    del body["spec"]["source"]["repoURL"]
    answer = site.ask("POST", LIST, body=body)
    assert answer.status_code == 400
    found = answer.get_json()
    assert found.keys() == {"error", "code", "message"} and found["code"] == 3
    assert "shop" in found["message"] and "repoURL" in found["message"]


def test_deleting_marks_the_application_and_wakes_a_worker(both: Site) -> None:
    both.create()
    both.hints.clear()
    assert both.ask("DELETE", f"{SHOP}?cascade=false").status_code == 200
    with both.store.read() as db:
        row = applications.get(db, "shop")
    assert row is not None and row.deleting and row.delete_mode == "forget"
    assert both.hints and "deletionTimestamp" in both.get(SHOP)["metadata"]
    assert both.ask("DELETE", f"{SHOP}?propagationPolicy=sideways").status_code == 400


def test_a_refresh_asks_for_a_look(site: Site) -> None:
    site.create()
    site.hints.clear()
    assert site.get(SHOP, refresh="hard")["metadata"]["name"] == "shop"
    assert site.hints
    assert site.ask("GET", f"{SHOP}?refresh=sometimes").status_code == 400


def test_a_list_costs_the_same_number_of_statements_for_any_number_of_applications(site: Site) -> None:
    for number in range(3):
        site.create(f"app-{number}")
    site.get(LIST)
    with count_statements(site.store.engine) as few:
        site.get(LIST)
    for number in range(3, 20):
        site.create(f"app-{number}")
        site.ask("POST", f"{LIST}/app-{number}/sync", body={})
    with count_statements(site.store.engine) as many:
        found = site.get(LIST)
    assert len(found["items"]) == 20 and 0 < len(many) == len(few)
    assert found["items"][5]["status"]["operationState"]["phase"] == "Running"
