"""Repositories and clusters: credentials go in and never come out."""

from pathlib import Path
from urllib.parse import quote

import pytest

from driftline.adapters.store import clusters
from tests.kit.charthost import PASSWORD, USER, ChartHost, basic
from tests.kit.githost import GitHost
from tests.kit.site import Site, lived_in

SECRET = "s3cr3t-Pa55w0rd"


@pytest.mark.covers("API-01")
def test_a_repository_is_added_after_asking_its_host(site: Site, tmp_path: Path) -> None:
    (tmp_path / "git").mkdir()
    with GitHost(tmp_path / "git", username="robot", password=SECRET) as host:
        host.checkout("shop", tmp_path / "wt").write({"a.yaml": "a: 1\n"}).commit()
        host.checkout("shop", tmp_path / "wt2")
        url = host.url("shop")
        wrong = site.ask("POST", "/api/v1/repositories", body={"repo": url, "username": "robot", "password": "no"})
        assert wrong.status_code == 400 and "no" not in wrong.get_json()["message"].split("'")
        body = {"repo": url, "username": "robot", "password": SECRET}
        answer = site.ask("POST", "/api/v1/repositories", body=body)
        assert answer.status_code == 200, answer.get_json()
        assert answer.get_json()["hasCredentials"] is True
        again = site.ask("POST", "/api/v1/repositories", body=body)
        assert again.status_code == 400 and "upsert" in again.get_json()["message"]
        assert site.ask("POST", "/api/v1/repositories?upsert=true", body=body).status_code == 200
    texts = [
        site.ask("GET", path).get_data(as_text=True)
        for path in ("/api/v1/repositories", f"/api/v1/repositories/{quote(url, safe='')}", "/api/v1/audit")
    ]
    assert url in texts[0] and url in texts[1]
    assert not any(SECRET in text for text in texts)


def test_a_repository_is_named_by_its_url_slashes_and_all(site: Site) -> None:
    url = "https://git.example/a/b.git"
    body = {"repo": url, "skipCheck": True, "webhookSecret": SECRET}
    found = site.ask("POST", "/api/v1/repositories", body=body).get_json()
    assert found["webhook"]["hasSecret"] is True and found["webhook"]["path"].startswith("/hooks/<provider>/")
    path = f"/api/v1/repositories/{quote(url, safe='')}"
    assert site.get(path)["repo"] == url
    assert site.ask("DELETE", path).status_code == 200
    assert site.ask("GET", path).status_code == 404


def test_a_repository_in_use_stays(site: Site) -> None:
    lived_in(site)
    path = f"/api/v1/repositories/{quote('https://git.example/team/shop.git', safe='')}"
    answer = site.ask("DELETE", path)
    assert answer.status_code == 400 and "shop" in answer.get_json()["message"]


def test_credentials_in_a_url_are_not_shown(site: Site) -> None:
    body = {"repo": f"https://robot:{SECRET}@git.example/a.git", "skipCheck": True}
    site.ask("POST", "/api/v1/repositories", body=body)
    assert SECRET not in site.ask("GET", "/api/v1/repositories").get_data(as_text=True)


def test_templates_are_listed_apart(site: Site) -> None:
    body = {"repo": "https://git.example/team", "username": "robot", "password": SECRET}
    assert site.ask("POST", "/api/v1/repocreds", body=body).status_code == 200
    assert [each["repo"] for each in site.get("/api/v1/repocreds")["items"]] == ["https://git.example/team"]
    assert site.get("/api/v1/repositories")["items"] == []


def test_a_cluster_answers_by_name_and_by_url(site: Site) -> None:
    with site.store.write() as db:
        row = clusters.save(db, "east", "https://east.example:6443", b"sealed")
        clusters.set_well(db, row.id, "uid", "v1.37.2")
    for named in ("east", quote("https://east.example:6443", safe="")):
        found = site.get(f"/api/v1/clusters/{named}")
        assert found["name"] == "east" and found["connectionState"]["status"] == "Successful"
    assert "sealed" not in site.ask("GET", "/api/v1/clusters").get_data(as_text=True)
    assert site.ask("DELETE", "/api/v1/clusters/east").status_code == 200
    assert site.get("/api/v1/clusters")["items"] == []


def test_a_cluster_that_does_not_answer_is_not_registered(site: Site) -> None:
    body = {"name": "gone", "server": "https://127.0.0.1:9", "config": {"bearerToken": SECRET}}
    answer = site.ask("POST", "/api/v1/clusters", body=body)
    assert answer.status_code == 503 and "Retry-After" in answer.headers
    assert SECRET not in answer.get_data(as_text=True)
    assert site.get("/api/v1/clusters")["items"] == []


def test_a_kubeconfig_that_would_run_a_program_is_refused(site: Site) -> None:
    config = {"execProviderConfig": {"command": "/bin/sh", "args": ["-c", "id"]}}
    answer = site.ask("POST", "/api/v1/clusters", body={"name": "x", "server": "https://x.example", "config": config})
    assert answer.status_code == 400 and "exec" in answer.get_json()["message"]


@pytest.mark.covers("REPO-01", "REPO-09", "REPO-10")
def test_a_chart_repository_is_added_after_asking_for_its_index(site: Site, tmp_path: Path) -> None:
    with ChartHost(tmp_path / "charts", login=basic()) as host:
        host.publish("redis", "18.0.0")
        body = {"repo": host.repository, "type": "helm", "name": "private", "username": USER, "password": PASSWORD}
        nameless = site.ask("POST", "/api/v1/repositories", body={**body, "name": ""})
        assert nameless.status_code == 400 and "name: is mandatory" in nameless.get_json()["message"]
        wrong = site.ask("POST", "/api/v1/repositories", body={**body, "password": "no"})
        assert wrong.status_code == 400 and "authentication failed" in wrong.get_json()["message"]
        site.ask("POST", "/api/v1/repositories", body={**body, "passCredentials": True})
        path = f"/api/v1/repositories/{quote(host.repository, safe='')}"
        found = site.get(path)
    assert (found["type"], found["name"], found["enableOCI"]) == ("helm", "private", False)
    assert found["passCredentials"] is True and found["hasCredentials"] is True
    assert PASSWORD not in str(found)
    changed = site.ask("PUT", path, body={"username": USER, "password": "other", "skipCheck": True}).get_json()
    assert (changed["type"], changed["name"]) == ("helm", "private"), "what the body does not say stays"


@pytest.mark.covers("REPO-10")
def test_a_registry_is_found_with_and_without_its_scheme(site: Site) -> None:
    body = {"repo": "registry.example.org:5000/charts", "type": "helm", "name": "oci", "enableOCI": True}
    made = site.ask("POST", "/api/v1/repositories", body={**body, "skipCheck": True}).get_json()
    assert (made["type"], made["enableOCI"], made["repo"]) == ("helm", True, "registry.example.org:5000/charts")
    for spelled in ("registry.example.org:5000/charts", "oci://registry.example.org:5000/charts"):
        assert site.get(f"/api/v1/repositories/{quote(spelled, safe='')}")["repo"] == body["repo"]
    plain = {"repo": "oci://registry.example.org/bundle", "type": "oci", "skipCheck": True}
    assert site.ask("POST", "/api/v1/repositories", body=plain).get_json()["type"] == "oci"
    for refused in (
        {"repo": "git@host:x", "type": "helm", "name": "x"},
        {"repo": "https://host/x", "type": "oci"},
        {"repo": "https://host/x", "type": "git", "enableOCI": True},
        {"repo": "https://host/x", "type": "svn"},
    ):
        assert site.ask("POST", "/api/v1/repositories", body={**refused, "skipCheck": True}).status_code == 400
    template = {
        "repo": "registry.example.org:5000",
        "type": "helm",
        "enableOCI": True,
        "username": "u",
        "password": SECRET,
    }
    assert site.ask("POST", "/api/v1/repocreds", body=template).status_code == 200
