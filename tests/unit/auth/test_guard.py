"""Nobody gets in unknown, and what somebody may not see looks like what is not there."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from driftline.access.policy import parse
from driftline.model.errors import Temporary
from service.auth.guard import PUBLIC, still_valid
from tests.kit import payloads
from tests.unit.auth.site import PASSWORD, Site, site

JWT_NONE = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsImlzcyI6ImFyZ29jZCJ9."


@pytest.fixture
def here() -> Site:
    return site()


def public_routes(here: Site) -> Iterator[tuple[str, str]]:
    """Method and rule of what lets a stranger through, found by asking for everything."""
    for rule in here.app.url_map.iter_rules():
        path = re.sub("<[^>]*>", "x", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            if b"no session information" not in here.client().open(path, method=method, json={}).data:
                yield method, rule.rule


@pytest.mark.covers("RBAC-01")
def test_the_list_of_what_strangers_may_ask_is_fixed() -> None:
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE")
    # Webhooks answer every method but POST with 405, and POST only with a signature.
    webhooks = {(method, rule) for method in methods for rule in ("/api/webhook", "/hooks/<provider>/<hook_id>")}
    assert set(public_routes(site(with_webhooks=True))) == webhooks | {
        ("GET", "/healthz"),
        ("GET", "/login"),
        ("POST", "/api/v1/session"),
    }
    assert {
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/login"),
        ("POST", "/login"),
        ("POST", "/api/v1/session"),
    } == PUBLIC


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nowhere",
        "/api/v1/nowhere",
        "/api/webhooks",
        "/api/webhook2",
        "/hooks",
        "/healthz/x",
        "/HEALTHZ",
        "//healthz",
        "/static",
        "/api/v1/session/userinfo",
        "/api/v1/account/ada/token",
    ],
)
def test_a_stranger_cannot_tell_what_exists(here: Site, path: str) -> None:
    answer = here.client().get(path, base_url="https://driftline.example")
    assert answer.status_code in (308, 401)
    if answer.status_code == 401:
        assert answer.get_json() == {"error": "no session information", "code": 16, "message": "no session information"}
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer ",
        f"Bearer {JWT_NONE}",
        "Bearer dls_" + "A" * 43,
        "Basic YWRhOng=",
        "bearer \xfc",
        "Bearer null",
    ],
)
def test_a_forged_token_is_worth_no_more_than_none(here: Site, authorization: str) -> None:
    with_forged = here.client().get("/", headers={"Authorization": authorization})
    without = here.client().get("/")
    assert (with_forged.status_code, with_forged.data) == (without.status_code, without.data)


def test_a_token_lets_in_by_header_and_a_session_by_cookie(here: Site) -> None:
    assert here.client().get("/", headers=here.bearer("bob")).text == "hello bob"
    assert here.signed_in("ada").get("/", base_url="https://localhost").text == "hello ada"


def test_a_wrong_bearer_token_is_not_rescued_by_a_cookie(here: Site) -> None:
    answer = here.signed_in("ada").get("/", base_url="https://localhost", headers={"Authorization": "Bearer x"})
    assert answer.status_code == 401


def test_a_browser_is_led_to_the_login_page_and_back(here: Site) -> None:
    answer = here.client().get("/applications/shop?tab=drift&x=1", headers={"Accept": "text/html,*/*"})
    assert (answer.status_code, answer.location) == (303, "/login?next=%2Fapplications%2Fshop%3Ftab%3Ddrift%26x%3D1")
    assert here.client().get("/api/v1/applications/a/b", headers={"Accept": "text/html"}).status_code == 401
    assert here.client().post("/change", headers={"Accept": "text/html"}).status_code == 401


@pytest.mark.covers("RBAC-07")
def test_what_is_forbidden_looks_like_what_does_not_exist(here: Site) -> None:
    bob = here.bearer("bob")

    def answer(name: str) -> tuple[int, bytes]:
        got = here.client().get(f"/api/v1/applications/{name}", headers=bob)
        return got.status_code, got.data

    assert answer("web/shop")[0] == 200
    assert answer("infra/dns") == answer("infra/nothing") == answer("web/nothing")
    assert answer("infra/dns")[0] == 403
    assert b"dns" not in answer("infra/dns")[1]


@pytest.mark.covers("RBAC-01")
@pytest.mark.parametrize(
    ("who", "status"), [(None, 401), ("eve", 403), ("bob", 200), ("ada", 200)], ids=["nobody", "none", "low", "all"]
)
def test_no_token_no_right_a_right(here: Site, who: str | None, status: int) -> None:
    headers = here.bearer(who) if who else {}
    assert here.client().get("/api/v1/applications/web/shop", headers=headers).status_code == status


def test_a_change_of_policy_counts_at_once(here: Site) -> None:
    bob = here.bearer("bob")
    assert here.client().get("/api/v1/applications/web/shop", headers=bob).status_code == 200
    here.policy[0] = parse("p, role:shop, applications, *, *, deny")
    assert here.client().get("/api/v1/applications/web/shop", headers=bob).status_code == 403


def test_changes_to_an_account_count_at_once(here: Site) -> None:
    bob = here.bearer("bob")
    here.accounts.set_roles("bob", ())
    assert here.client().get("/", headers=bob).status_code == 401
    bob = here.bearer("bob")
    here.accounts.set_enabled("bob", False)
    assert here.client().get("/", headers=bob).status_code == 401


def test_a_stream_learns_within_one_question_that_its_token_is_over(here: Site) -> None:
    token = here.token("bob")
    with here.app.test_request_context("/", headers={"Authorization": f"Bearer {token}"}):
        assert here.app.preprocess_request() is None
        valid = still_valid()
    assert valid()
    here.accounts.set_roles("bob", ())
    assert not valid()


def test_a_stream_outlives_a_moment_without_the_database(here: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with here.app.test_request_context("/", headers=here.bearer("bob")):
        assert here.app.preprocess_request() is None
        valid = still_valid()

    def away(hashed: str) -> None:
        raise Temporary("database: away")

    monkeypatch.setattr(here.accounts, "by_hash", away)
    assert valid()


# Cookies


def cookie_of(public_url: str) -> str:
    here = site(public_url)
    return str(
        here.client().post("/api/v1/session", json={"username": "ada", "password": PASSWORD}).headers["Set-Cookie"]
    )


@pytest.mark.covers("AUTH-02")
def test_the_cookie_is_bound_to_host_and_tls() -> None:
    name, *attributes = cookie_of("https://driftline.example").split("; ")
    assert name.startswith("__Host-driftline=dls_")
    assert set(attributes) == {"Secure", "HttpOnly", "Path=/", "SameSite=Lax", "Max-Age=86400"} | {
        each for each in attributes if each.startswith("Expires=")
    }


def test_on_plain_http_the_cookie_has_a_plain_name() -> None:
    cookie = cookie_of("http://127.0.0.1:8080")
    assert cookie.startswith("driftline=dls_")
    assert "Secure" not in cookie
    assert "HttpOnly" in cookie


def test_a_login_ends_the_session_that_was_there_and_makes_another(here: Site) -> None:
    browser = here.signed_in("ada")
    before = here.accounts.saved.copy()
    browser.post("/api/v1/session", base_url="https://localhost", json={"username": "ada", "password": PASSWORD})
    after = here.accounts.saved
    assert len(before) == len(after) == 1
    assert before.keys() != after.keys()


def test_a_session_handed_in_before_the_login_is_not_taken_over(here: Site) -> None:
    planted = "dls_" + "A" * 43
    browser = here.client()
    browser.set_cookie("__Host-driftline", planted, domain="localhost", secure=True)
    answer = browser.post(
        "/api/v1/session", base_url="https://localhost", json={"username": "ada", "password": PASSWORD}
    )
    assert answer.get_json()["token"] != planted
    assert here.sessions.identify(planted) is None


# Login routes


@pytest.mark.covers("API-03")
def test_sign_in_look_sign_out(here: Site) -> None:
    browser = here.signed_in("bob")
    info = browser.get("/api/v1/session/userinfo", base_url="https://localhost").get_json()
    assert info == {
        "loggedIn": True, "username": "bob", "iss": "driftline", "groups": ["role:shop"], "initialPassword": True,
    }  # fmt: skip
    gone = browser.delete("/api/v1/session", base_url="https://localhost", json={})
    assert gone.status_code == 200
    assert browser.get("/", base_url="https://localhost").status_code == 401
    assert here.accounts.saved == {}


def test_a_wrong_login_and_an_unknown_name_get_the_same_answer(here: Site) -> None:
    def answer(**body: object) -> tuple[int, bytes]:
        got = here.client().post("/api/v1/session", json=body)
        return got.status_code, got.data

    wrong = answer(username="ada", password="wrong password")
    assert wrong == answer(username="nobody", password="wrong password") == answer(username=None, password=[])
    assert wrong[0] == 401
    assert b"Invalid username or password" in wrong[1]
    for _ in range(5):
        answer(username="ada", password="wrong password")
    assert answer(username="ada", password=PASSWORD) == wrong


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"username":"a","username":"b"}', b"\xff"])
def test_a_login_that_cannot_be_read(here: Site, body: bytes) -> None:
    assert here.client().post("/api/v1/session", data=body, content_type="application/json").status_code == 400
    assert here.client().post("/api/v1/session", data=body, content_type="text/plain").status_code == 415


def change(browser: FlaskClient, **body: str) -> int:
    return browser.put("/api/v1/account/password", base_url="https://localhost", json=body).status_code


@pytest.mark.covers("AUTH-01")
def test_changing_ones_password_ends_all_else_and_keeps_one_signed_in(here: Site) -> None:
    browser, elsewhere, robot = here.signed_in("bob"), here.signed_in("bob"), here.bearer("bob")
    assert change(browser, currentPassword="wrong password", newPassword="another password") == 401
    assert change(browser, currentPassword=PASSWORD, newPassword="short") == 400
    assert browser.get("/", base_url="https://localhost").status_code == 200
    assert change(browser, currentPassword=PASSWORD, newPassword="another password") == 200
    assert browser.get("/", base_url="https://localhost").status_code == 200
    assert elsewhere.get("/", base_url="https://localhost").status_code == 401
    assert here.client().get("/", headers=robot).status_code == 401
    info = browser.get("/api/v1/session/userinfo", base_url="https://localhost").get_json()
    assert info["initialPassword"] is False


def test_only_who_may_update_accounts_changes_the_password_of_others(here: Site) -> None:
    assert change(here.signed_in("bob"), name="eve", currentPassword=PASSWORD, newPassword="another password") == 403
    assert change(here.signed_in("bob"), name="nobody", currentPassword=PASSWORD, newPassword="x" * 10) == 403
    admin = here.signed_in("ada")
    assert change(admin, name="eve", currentPassword="wrong password", newPassword="another password") == 401
    assert change(admin, name="eve", currentPassword=PASSWORD, newPassword="another password") == 200
    assert admin.get("/", base_url="https://localhost").text == "hello ada"
    assert here.sessions.login("eve", "another password", "192.0.2.1")
    assert change(admin, name="nobody", currentPassword=PASSWORD, newPassword="another password") == 400


def test_a_stolen_api_token_does_not_change_the_password(here: Site) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": "another password"}
    assert here.client().put("/api/v1/account/password", json=body, headers=here.bearer("ada")).status_code == 403


def test_tokens_are_made_listed_and_revoked_for_oneself_or_with_the_right_to(here: Site) -> None:
    bob, ada = here.bearer("bob"), here.bearer("ada")
    client = here.client()
    made = client.post("/api/v1/account/bob/token", json={"id": "robot", "expiresIn": 3600}, headers=bob)
    robot = {"Authorization": f"Bearer {made.get_json()['token']}"}
    assert client.get("/", headers=robot).text == "hello bob"
    listed = client.get("/api/v1/account/bob/token", headers=ada).get_json()["items"]
    assert [each["note"] for each in listed] == ["robot", ""]
    assert client.get("/api/v1/account/ada/token", headers=bob).status_code == 403
    assert client.post("/api/v1/account/ada/token", json={}, headers=bob).status_code == 403
    assert client.delete(f"/api/v1/account/bob/token/{listed[0]['id']}", headers=bob).status_code == 200
    assert client.get("/", headers=robot).status_code == 401
    assert client.get("/", headers=bob).status_code == 200


def test_a_credential_of_someone_else_cannot_be_revoked_under_ones_own_name(here: Site) -> None:
    ada = here.sessions.create_token("ada", None)
    path = f"/api/v1/account/bob/token/{ada[0].id}"
    assert here.client().delete(path, headers=here.bearer("bob")).status_code == 200
    assert here.sessions.identify(ada[1])


@pytest.mark.parametrize("seconds", ["soon", -1, [], {}, 10**12, 1e400, "9" * 5000, True, None])
def test_a_lifetime_that_cannot_be_read(here: Site, seconds: object) -> None:
    body = {"expiresIn": seconds} if seconds != float("inf") else {"expiresIn": "inf"}
    answer = here.client().post("/api/v1/account/bob/token", json=body, headers=here.bearer("bob"))
    assert answer.status_code in (200, 400)


def test_sessions_end_after_their_time(here: Site) -> None:
    browser = here.signed_in("bob")
    here.accounts.forward(timedelta(hours=25))
    assert browser.get("/", base_url="https://localhost").status_code == 401


# Forged requests


@pytest.fixture(scope="module")
def browser_token() -> tuple[FlaskClient, str]:
    browser = site().client()
    base = "https://driftline.example"
    browser.post("/api/v1/session", base_url=base, json={"username": "ada", "password": PASSWORD})
    return browser, browser.get("/token", base_url=base).text


OWN = {"Origin": "https://driftline.example"}


@pytest.mark.parametrize(
    ("headers", "content_type", "with_token", "status"),
    [
        (OWN, "application/json", False, 200),
        ({}, "application/json", False, 200),
        (OWN, "application/x-www-form-urlencoded", True, 200),
        ({"Sec-Fetch-Site": "same-origin"}, "", True, 200),
        ({}, "", True, 200),
        (OWN, "application/x-www-form-urlencoded", False, 403),
        (OWN, "text/plain", False, 403),
        (OWN, "multipart/form-data; boundary=x", False, 403),
        (OWN, "", False, 403),
        ({}, "", False, 403),
        ({"Origin": "https://evil.example"}, "application/json", True, 403),
        ({"Origin": "https://driftline.example.evil.example"}, "application/json", True, 403),
        ({"Origin": "http://driftline.example"}, "application/json", True, 403),
        ({"Origin": "https://driftline.example:8443"}, "application/json", True, 403),
        ({"Origin": "null"}, "application/json", True, 403),
        ({"Sec-Fetch-Site": "cross-site"}, "application/json", True, 403),
        ({"Sec-Fetch-Site": "same-site"}, "application/json", True, 403),
        ({**OWN, "X-CSRF-Token": "0" * 64}, "", False, 403),
        ({**OWN, "X-CSRF-Token": "\xfc"}, "", False, 403),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_another_site_made_a_browser_send_is_refused(
    browser_token: tuple[FlaskClient, str],
    headers: dict[str, str],
    content_type: str,
    with_token: bool,
    status: int,
    method: str,
) -> None:
    browser, token = browser_token
    headers = {**headers, **({"X-CSRF-Token": token} if with_token else {})}
    if content_type:
        headers["Content-Type"] = content_type
    answer = browser.open("/change", method=method, base_url="https://driftline.example", headers=headers, data=b"{}")
    assert answer.status_code == status


def test_a_form_of_ours_carries_the_token_in_a_field(browser_token: tuple[FlaskClient, str]) -> None:
    browser, token = browser_token
    for given, status in ((token, 200), ("", 403), ("x", 403)):
        answer = browser.post("/change", base_url="https://driftline.example", data={"csrf_token": given}, headers=OWN)
        assert answer.status_code == status


def test_the_token_of_another_session_does_not_do(here: Site, browser_token: tuple[FlaskClient, str]) -> None:
    browser, _ = browser_token
    other = here.signed_in("bob").get("/token", base_url="https://localhost").text
    answer = browser.post("/change", base_url="https://driftline.example", headers={"X-CSRF-Token": other})
    assert answer.status_code == 403


def test_bearer_tokens_need_no_csrf_token(here: Site) -> None:
    assert here.client().post("/change", headers=here.bearer("ada")).status_code == 200


def test_nobody_is_signed_in_by_another_site(here: Site) -> None:
    body = {"username": "eve", "password": PASSWORD}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = here.client().post("/api/v1/session", json=body, headers=headers)
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers


def test_reading_needs_no_csrf_token_and_cors_is_never_granted(browser_token: tuple[FlaskClient, str]) -> None:
    browser, _ = browser_token
    answer = browser.get("/", base_url="https://driftline.example", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 200
    preflight = browser.options("/change", base_url="https://driftline.example", headers={
        "Origin": "https://evil.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Private-Network": "true",
    })  # fmt: skip
    for each in (answer, preflight):
        assert not [name for name, _ in each.headers if name.lower().startswith("access-control-")]


def test_webhooks_pass_the_guard_whatever_origin_they_claim() -> None:
    here = site(with_webhooks=True)
    headers, body = payloads.github(payloads.Told("https://github.com/acme/shop")).signed()
    answer = here.client().post("/api/webhook", headers={**headers, "Origin": "https://github.com"}, data=body)
    assert answer.status_code == 202
    assert here.client().get("/api/webhook").status_code == 405
    assert here.client().open("/api/webhook", method="BREW").status_code == 405
