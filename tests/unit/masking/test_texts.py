"""Texts and events lose their credentials and nothing else, in time that grows with their length only."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.model.masking import scrub, scrub_value

CANARY = "c4naryc4naryc4naryc4nary"

LEAKS = [
    f"fatal: unable to access 'https://user:{CANARY}@git.example.com/a.git/': 403",
    f"https://{CANARY}@git.example.com/a.git",
    f"redis://:{CANARY}@cache:6379/0 refused the connection",
    f"amqp://guest:{CANARY}@h//  postgresql+psycopg://app:{CANARY}/x@db/shop",
    f"GET /x?sig={CANARY}&page=2",
    f"GET /x?page=2&X-Amz-Signature={CANARY}&access_token={CANARY}#top",
    f"Authorization: Bearer {CANARY}",
    f"> Authorization: Basic dXNlcjpjNG5hcnk= {CANARY}",
    f"{{'Authorization': 'token {CANARY}', 'Accept': '*/*'}}",
    f'{{"Authorization":["Bearer {CANARY}"]}}',
    f"X-Gitlab-Token: {CANARY}",
    f"Set-Cookie: session={CANARY}; HttpOnly",
    f"-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n-----END OPENSSH PRIVATE KEY-----",
    f"-----BEGIN RSA PRIVATE KEY-----\\n{CANARY}",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1" * 18,
    "github_pat_" + "a1" * 20,
    "glpat-" + "a1" * 10,
    "xoxb-123456789-" + "a1" * 12,
    "https://hooks.slack.com/services/T0/B0/" + "a1" * 12,
    "AIza" + "a1" * 17 + "b",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF123",
    f"password={CANARY}",
    f"PGPASSWORD='{CANARY} and more' psql",
    f"password: {CANARY}",
    f'{{"client_secret": "{CANARY}"}}',
    f'body {{\\"password\\":\\"{CANARY}\\"}}',
    f"helm --password {CANARY} --username bob",
    f"Server=db;User Id=sa;Password={CANARY};Encrypt=true",
    f"<password>{CANARY}</password>",
    f"(sqlite3.IntegrityError) x [SQL: INSERT INTO t VALUES (?)] [parameters: ('{CANARY}',)]",
    f'v1.Secret.Data: decode base64: error found in #10 byte of ...|"a":"{CANARY}"|..., bigger ...|{CANARY}|...',
    f'refused: {{"kind":"Secret","data":{{"x":"{CANARY}","y":"{{}}"}}}}',
    f"Secret db: map[kind:Secret data:map[a:{CANARY} b:c]]",
    f"kind: Secret\nstringData:\n  anything: {CANARY}\n  more:\n    deep: {CANARY}\ntype: Opaque",
]

HARMLESS = [
    "Secret/shop/db: data.password: not valid base64",
    "apps/Deployment/shop/web: spec.selector cannot change; allow recreate to replace the object",
    "spec.volumes[0].secret: Required value",
    "invalid token: expected ':' at line 3",
    "password: must not be empty",
    "password authentication failed for user app",
    "Basic authentication failed; Bearer authentication is off",
    "clone of ssh://git@github.com/a/b.git and git@github.com:a/b.git",
    "https://h:8080/@scope/package?page=2&sort=name",
    "automountServiceAccountToken: true",
    "imagePullSecrets: regcred",
]


@pytest.mark.parametrize("text", LEAKS)
def test_credentials_are_taken_out(text: str) -> None:
    shown = scrub(text)
    assert CANARY not in shown and "a1a1a1" not in shown and shown != text
    assert "IOSFODNN" not in shown and "eyJzdWIi" not in shown and "dXNlcjpj" not in shown


@pytest.mark.parametrize("text", LEAKS)
def test_taking_them_out_twice_changes_nothing_more(text: str) -> None:
    assert scrub(scrub(text)) == scrub(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_people_need_to_read_stays(text: str) -> None:
    assert scrub(text) == text


def test_the_host_of_an_unreachable_repository_stays_readable() -> None:
    shown = scrub(f"https://bob:{CANARY}@git.example.com:8443/shop.git?sig={CANARY} connection refused")
    assert shown == "https://***@git.example.com:8443/shop.git?sig=*** connection refused"


REPEATED = [
    *("a", "://", "://a:", "eyJ-", "password", "password=", '\\"', '"', "'", "-----BEGIN PRIVATE KEY", "?a", "Bearer "),
    *("basic ", "Secret data:{", 'data:{"', "...|", " ", "[parameters: ", "--password ", "x-", "x-a-", "xoxb-", "\n"),
    *("token=\\", "@", "\t:"),
]


@pytest.mark.parametrize("seed", REPEATED)
def test_a_hostile_text_costs_time_in_proportion_to_its_length(seed: str) -> None:
    def cost(length: int) -> float:
        text = "Secret " + seed * (length // len(seed))
        start = time.process_time()
        scrub(text)
        return time.process_time() - start

    # Quadratic behaviour would take several seconds for this length; linear takes about a tenth of one.
    assert cost(80_000) < 10 * cost(20_000) + 0.3


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    scrub(text)


def test_events_lose_values_under_telling_names() -> None:
    event = {
        "request": {"headers": [["Authorization", "Bearer x1"]], "url": f"https://u:{CANARY}@h/"},
        "extra": {"db_password": CANARY, "secrets": {"inner": [CANARY, 7]}, "token": None, "count": 3},
        "env": [{"name": "API_TOKEN", "value": CANARY}, {"name": "PORT", "value": "80"}],
        "object": {"kind": "Secret", "data": {"anything": CANARY}},
        "bytes": f"token={CANARY}".encode(),
    }
    shown = scrub_value(event)
    assert CANARY not in str(shown)
    assert shown["extra"]["count"] == 3 and shown["extra"]["token"] is None
    assert shown["env"][1] == {"name": "PORT", "value": "80"}


def test_hostile_values_are_cut_and_never_raise() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError(CANARY)

    loop: list[Any] = []
    loop += [loop, loop]
    deep: Any = CANARY
    for _ in range(5000):
        deep = [deep]
    shown = scrub_value({"broken": Broken(), "loop": loop, "deep": deep, 7: {CANARY} - {CANARY}})
    assert shown["broken"] == "<Broken: RuntimeError>"
    assert CANARY not in str(shown["deep"])


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_scrubbing_an_event_twice_is_scrubbing_it_once(value: Any) -> None:
    once = scrub_value(value)
    assert scrub_value(once) == once
