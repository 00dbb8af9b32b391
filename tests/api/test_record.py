"""What happened and what waits: drift, deliveries, jobs, settings, acts."""

from datetime import timedelta

from driftline.adapters.store import jobs
from tests.kit.site import Site, lived_in


def test_drift_names_field_values_author_and_times(both: Site) -> None:
    lived_in(both)
    now = both.get("/api/v1/drift", open="true")["items"]
    assert [(each["path"], each["desired"], each["live"], each["manager"]) for each in now] == [
        ("data.size", "1", "2", "kubectl-edit")
    ]
    assert now[0]["application"] == "shop" and now[0]["endedAt"] is None
    every = both.get("/api/v1/drift", app="shop")["items"]
    assert [each["path"] for each in every] == ["data.size", "data.colour"]
    assert every[1]["endReason"] == "as in Git again"


def test_drift_comes_in_pages(site: Site) -> None:
    lived_in(site)
    lived_in_other = site.create("other")
    assert lived_in_other
    first = site.get("/api/v1/drift", limit=1)
    rest = site.get("/api/v1/drift", limit=1, **{"continue": first["metadata"]["continue"]})
    assert [first["items"][0]["path"], rest["items"][0]["path"]] == ["data.size", "data.colour"]
    assert rest["metadata"] == {}


def test_a_quarantined_job_is_shown_and_done_after_all(both: Site) -> None:
    with both.store.write() as db:
        number = jobs.request(db, jobs.Request("fetch", "repository:9"))
        held = jobs.claim(db, number, "w", timedelta(seconds=60))
        assert held is not None
        jobs.fail(db, held, "the host is gone", timedelta(0), max_attempts=1)
    (found,) = both.get("/api/v1/jobs/quarantined")["items"]
    assert found["error"] == "the host is gone" and found["kind"] == "fetch"
    again = both.ask("POST", f"/api/v1/jobs/{number}/retry", body={}).get_json()
    assert again["id"] != number and both.get("/api/v1/jobs/quarantined")["items"] == []
    assert both.ask("POST", f"/api/v1/jobs/{number}/retry", body={}).status_code == 404
    assert both.ask("POST", "/api/v1/jobs/x/retry", body={}).status_code == 404


def test_settings_are_documented_and_their_secrets_hidden(site: Site) -> None:
    items = {each["name"]: each for each in site.get("/api/v1/settings")["items"]}
    assert items["DRIFTLINE_PUBLIC_URL"]["value"] == "http://127.0.0.1:8080" and items["DRIFTLINE_PUBLIC_URL"]["text"]
    assert items["DRIFTLINE_DATABASE_URL"]["value"] == "(set)"
    assert items["DRIFTLINE_SMTP_PASSWORD"]["value"] == ""


def test_every_act_is_on_record(site: Site) -> None:
    site.create()
    site.ask("POST", "/api/v1/applications/shop/pause", body={"reason": "x"})
    found = site.get("/api/v1/audit", subject="app:shop")["items"]
    assert [(each["actor"], each["action"]) for each in found] == [("ada", "app.pause"), ("ada", "app.declare")]


def test_accounts_are_made_locked_and_given_roles(site: Site) -> None:
    body = {"name": "bob", "password": "a long enough password", "roles": ["role:readonly"]}
    assert site.ask("POST", "/api/v1/account", body=body).status_code == 200
    assert site.ask("POST", "/api/v1/account", body=body).status_code == 400
    assert site.ask("POST", "/api/v1/account", body={**body, "name": "x", "roles": ["admin"]}).status_code == 400
    token = site.ask("POST", "/api/v1/account/bob/token", body={}).get_json()["token"]
    site.tokens["bob"] = token
    assert site.ask("GET", "/api/v1/settings", "bob").status_code == 200
    assert site.ask("PUT", "/api/v1/account/bob", body={"enabled": False}).get_json()["enabled"] is False
    assert site.ask("GET", "/api/v1/settings", "bob").status_code == 401
    assert site.ask("PUT", "/api/v1/account/ada", body={"enabled": False}).status_code == 400
    names = [each["name"] for each in site.get("/api/v1/account")["items"]]
    assert names == ["ada", "bob", "nora", "rita"]


def test_a_test_alert_says_what_is_wrong_with_the_recipient(site: Site) -> None:
    answer = site.ask("POST", "/api/v1/alerts/test", body={"recipient": "ops"})
    assert answer.status_code == 400 and "channel:address" in answer.get_json()["message"]
