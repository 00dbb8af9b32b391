"""Headers on every answer, links of strangers, and where a login leads."""

import time

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from service.security import CONTENT_SECURITY_POLICY, local_target, safe_link, safe_url
from tests.unit.auth.site import PASSWORD, site

HERE = site()


@pytest.mark.parametrize(
    ("path", "status"), [("/healthz", 200), ("/login", 200), ("/", 401), ("/nowhere", 401), ("/api/v1/session", 401)]
)
def test_every_answer_carries_the_headers(path: str, status: int) -> None:
    answer = HERE.client().get(path)
    assert answer.status_code == status
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
        "worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "unsafe" not in CONTENT_SECURITY_POLICY


def test_what_one_person_saw_is_cached_for_nobody() -> None:
    for answer in (
        HERE.client().get("/", headers=HERE.bearer("bob")),
        HERE.client().get("/api/v1/applications/infra/dns", headers=HERE.bearer("bob")),
        HERE.client().post("/api/v1/session", json={"username": "ada", "password": PASSWORD}),
        HERE.client().get("/"),
    ):
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Cookie" in answer.headers["Vary"]


def test_errors_carry_them_too() -> None:
    assert HERE.client().get("/nowhere", headers=HERE.bearer("bob")).headers["X-Content-Type-Options"] == "nosniff"


def test_bodies_are_bounded_and_nothing_debugs() -> None:
    answer = HERE.client().post("/api/v1/session", data=b"{" + b" " * 11_000_000, content_type="application/json")
    assert answer.status_code == 413
    assert not HERE.app.debug


GOOD = [
    "https://example.com",
    "http://example.com/a?b=c#d",
    "HTTPS://EXAMPLE.COM/",
    "https://example.com:8443/x",
    "https://[2001:db8::1]/x",
    "https://grafana.example.com/d/abc?var-app=shop&from=now-1h",
    "https://bücher.example/ö",
]
BAD = [
    "",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "java\nscript:alert(1)",
    "\x01javascript:x",
    " javascript:alert(1)",
    "javascript&colon;alert(1)",
    "javascript&#58;alert(1)",
    "&#106;avascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "http:\\\\evil.example",
    "https://",
    "https://?x",
    "https://#x",
    "https://good.example@evil.example",
    "https://user:pw@evil.example",
    "https://good.example\\@evil.example",
    "https://exa mple.com",
    "https://example.com/\r\nX: y",
    "https://example.com:x/",
    "https://[::1",
    "ftp://example.com",
    "file:///etc/passwd",
    "mailto:a@b",
    "/local/path",
    "example.com",
    "#x",
    "https\u200b://example.com",
    "\ufeffhttps://example.com",
    "https://example.com/\u202egpj.exe",
    "feed:https://example.com",
    "view-source:https://example.com",
    "blob:https://example.com/x",
    "https://example.com\x00",
    None,
    7,
    ["https://x.example"],
    "https://example.com/" + "a" * 3000,
    "jAvAsCrIpT://example.com/%0aalert(1)",
    "javascript://https://example.com",
]


@pytest.mark.parametrize("text", GOOD)
def test_links_that_may_be_clicked(text: str) -> None:
    assert safe_url(text) == text


@pytest.mark.parametrize("text", BAD)
def test_links_that_may_not(text: object) -> None:
    assert safe_url(text) is None
    if isinstance(text, str):
        assert safe_link(f"Dashboard | {text}") is None or text.startswith(" ")


@given(st.text())
def test_whatever_is_safe_is_plain_http(text: str) -> None:
    found = safe_url(text)
    assert found is None or found.lower().startswith(("http://", "https://"))


@given(st.from_regex(r"[hH][tT][tT][pP][sS]?:[/\\]{0,4}[^\n]{0,20}"))
def test_near_misses_never_raise(text: str) -> None:
    found = safe_url(text)
    assert found is None or found == text


def test_labelled_links_of_annotations() -> None:
    assert safe_link("Grafana | https://g.example/d") == ("Grafana", "https://g.example/d")
    assert safe_link("a | b | https://g.example/d") == ("a | b", "https://g.example/d")
    assert safe_link("https://g.example/d") == ("https://g.example/d", "https://g.example/d")
    assert safe_link("|https://g.example/d") == ("https://g.example/d", "https://g.example/d")
    assert safe_link("https://good.example | javascript:alert(1)") is None
    assert safe_link(None) is None


@pytest.mark.parametrize("target", ["/", "/applications/shop", "/applications/shop?tab=drift&x=%2F", "/login"])
def test_a_login_leads_back_to_our_pages(target: str) -> None:
    assert local_target(HERE.app, target) == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/%2f%2fevil.example",
        "/%2Fevil.example",
        "%2f%2fevil.example",
        "/%5cevil.example",
        "https://evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        "/ /evil.example",
        "/nowhere",
        "/change",
        "applications/shop",
        "/..//evil.example",
        "/applications/shop#x",
        "?x",
        "/@evil.example",
        "/.evil.example",
        None,
        7,
        "/" + "a" * 3000,
        "/\x00",
        "/%00",
        "/applications/%0d%0aX:y",
    ],
)
def test_and_nowhere_else(target: object) -> None:
    assert local_target(HERE.app, target) == "/"
    assert local_target(HERE.app, target, default="/applications/x") == "/applications/x"


def test_checking_a_link_takes_no_time() -> None:
    started = time.process_time()
    for text in ("https://" + "a" * 100_000, "https://" + "[" * 100_000, "javascript:" * 100_000, "/" * 1_000_000):
        safe_url(text)
        local_target(HERE.app, text)
    assert time.process_time() - started < 1


def test_flask_sessions_are_not_used() -> None:
    assert Flask("x").secret_key is None
    assert HERE.app.secret_key is None
    cookies = HERE.client().post("/api/v1/session", json={"username": "ada", "password": PASSWORD}).headers
    assert [each.split("=")[0] for each in cookies.getlist("Set-Cookie")] == ["__Host-driftline"]
