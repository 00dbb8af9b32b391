"""The checks come in one fixed order; whatever is wrong first decides the answer."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from driftline.model.errors import Temporary
from tests.kit import payloads
from tests.webhooks.receiving import HOOK, Receiver, Secrets, site

HEADERS, BODY = payloads.github(payloads.Told("https://github.com/acme/shop")).signed()
CAP = 20_000


@dataclass
class Request:
    """A right delivery, which each fault spoils further."""

    method: str = "POST"
    headers: dict[str, str] = field(default_factory=lambda: dict(HEADERS))
    body: bytes = BODY
    receiver: Receiver = field(default_factory=Receiver)
    secrets: Secrets = field(default_factory=Secrets)


def wrong_method(request: Request) -> None:
    request.method = "PUT"


def wrong_type(request: Request) -> None:
    request.headers["Content-Type"] = "text/plain"


def too_large(request: Request) -> None:
    request.body += b" " * CAP


def unsigned(request: Request) -> None:
    request.headers["X-Hub-Signature-256"] = "sha256=" + "0" * 64


def malformed(request: Request) -> None:
    request.body = b"[" + request.body
    if request.headers["X-Hub-Signature-256"] == HEADERS["X-Hub-Signature-256"]:
        request.headers = payloads.sign("github", request.headers, request.body)


def database_away(request: Request) -> None:
    request.receiver.fails = Temporary("database: connection refused", timedelta(seconds=7.2))


FAULTS = [
    (405, wrong_method),
    (415, wrong_type),
    (413, too_large),
    (401, unsigned),
    (400, malformed),
    (503, database_away),
]


@pytest.mark.parametrize("path", ["/api/webhook", f"/hooks/github/{HOOK}"])
@pytest.mark.parametrize("first", range(len(FAULTS) + 1))
def test_the_first_fault_in_the_order_decides(path: str, first: int) -> None:
    request = Request()
    for _, spoil in reversed(FAULTS[first:]):
        spoil(request)
    expected = FAULTS[first][0] if first < len(FAULTS) else 202
    answer = site(CAP, request.receiver, request.secrets).client.open(
        path, method=request.method, headers=request.headers, data=request.body
    )
    assert answer.status_code == expected
    assert answer.is_json
    assert len(request.receiver.rows) == (1 if expected == 202 else 0)


@pytest.mark.covers("WH-01")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_only_post(method: str) -> None:
    for path in ("/api/webhook", "/hooks/github/x", "/hooks/nobody/x"):
        answer = site().client.open(path, method=method)
        assert answer.status_code == 405
        assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/xml", "multipart/form-data; boundary=x", "application/json+x", "json",
     "application/json; charset=utf-16", "application/json; charset=utf-7"],
)  # fmt: skip
def test_other_content_types(kind: str) -> None:
    assert site().client.post("/api/webhook", headers={**HEADERS, "Content-Type": kind}, data=BODY).status_code == 415


@pytest.mark.parametrize("kind", ["application/json", "APPLICATION/JSON", 'application/json; charset="UTF-8"'])
def test_json_in_its_spellings(kind: str) -> None:
    assert site().client.post("/api/webhook", headers={**HEADERS, "Content-Type": kind}, data=BODY).status_code == 202


def test_forms_are_for_github_only() -> None:
    told = payloads.Told("https://git.example.com/acme/shop")
    for provider, build in payloads.PUSH.items():
        delivery = build(told)
        form = payloads.Delivery(provider, delivery.headers, delivery.payload, payloads.FORM)
        headers, body = form.signed()
        status = site().client.post("/api/webhook", headers=headers, data=body).status_code
        assert status == (202 if provider == "github" else 415)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "x-nonsense", "identity, gzip"])
def test_a_compressed_body_is_refused_unread(encoding: str) -> None:
    headers = {**HEADERS, "Content-Encoding": encoding}
    assert site().client.post("/api/webhook", headers=headers, data=BODY).status_code == 415


def test_the_cap_is_exact() -> None:
    body = BODY + b" " * (CAP - len(BODY))
    headers = payloads.sign("github", HEADERS, body)
    assert site(CAP).client.post("/api/webhook", headers=headers, data=body).status_code == 202
    headers = payloads.sign("github", HEADERS, body + b" ")
    answer = site(CAP).client.post("/api/webhook", headers=headers, data=body + b" ")
    assert (answer.status_code, answer.get_json()) == (413, {"error": "the body is larger than 20000 bytes"})


@pytest.mark.parametrize(
    "path",
    [
        "/hooks/github/unknown",
        "/hooks/nobody/hook-1",
        "/hooks/github/a%00b",
        "/hooks/github/..",
        "/hooks/github/" + "x" * 300,
        "/hooks/gitlab/hook-1",
    ],
)
def test_unknown_hooks_and_wrong_signatures_get_one_and_the_same_answer(path: str) -> None:
    wrong = site().client.post(f"/hooks/github/{HOOK}", headers={**HEADERS, "X-Hub-Signature-256": "x"}, data=BODY)
    unknown = site().client.post(path, headers=HEADERS, data=BODY)
    assert (unknown.status_code, unknown.data) == (wrong.status_code, wrong.data)
    assert unknown.status_code == 401


@pytest.mark.parametrize("provider", sorted(payloads.PUSH))
def test_a_host_without_a_secret_is_refused_however_it_signs(provider: str) -> None:
    headers, body = payloads.PUSH[provider](payloads.Told(payloads.web_of(provider))).signed()
    here = site(secrets=Secrets(missing=frozenset({provider})))
    for path in ("/api/webhook", f"/hooks/{provider}/{HOOK}"):
        assert here.client.post(path, headers=headers, data=body).status_code == 401
    assert here.receiver.rows == {}


@pytest.mark.parametrize("missing", [frozenset(), frozenset({"github"})])
def test_a_wrong_secret_is_answered_with_the_host_and_the_setting_to_look_at(missing: frozenset[str]) -> None:
    """Nobody learns from it whether the setting has a value."""
    wrong = {**HEADERS, "X-Hub-Signature-256": "x"}
    answer = site(secrets=Secrets(missing=missing)).client.post("/api/webhook", headers=wrong, data=BODY)
    assert answer.status_code == 401
    assert "looks like github" in answer.text and "DRIFTLINE_WEBHOOK_SECRET_GITHUB" in answer.text


def test_an_unknown_sender_is_refused() -> None:
    here = site()
    assert here.client.post("/api/webhook", json={"ref": "refs/heads/main"}).status_code == 401
    assert here.secrets.asked == []


def test_the_database_away_while_the_secret_is_looked_up() -> None:
    here = site(secrets=Secrets(fails=Temporary("database: gone", timedelta(seconds=3))))
    answer = here.client.post(f"/hooks/github/{HOOK}", headers=HEADERS, data=BODY)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")


def test_retry_after_is_whole_seconds_and_the_reason_is_not_told() -> None:
    receiver = Receiver(fails=Temporary("postgresql://user:hunter2@db: refused", timedelta(seconds=7.2)))
    answer = site(receiver=receiver).client.post("/api/webhook", headers=HEADERS, data=BODY)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "8")
    assert b"hunter2" not in answer.data


def test_answers_are_the_same_for_everyone_who_gets_them() -> None:
    def answers(payload: Any) -> bytes:
        headers, body = payloads.Delivery("github", {"X-GitHub-Event": "push"}, payload).signed()
        answer = site().client.post("/api/webhook", headers=headers, data=body)
        assert answer.status_code == 400
        return bytes(answer.data)

    assert answers({"ref": "secret-a"}) == answers({"ref": None}) == answers({"zzz": {"a": 1}})
