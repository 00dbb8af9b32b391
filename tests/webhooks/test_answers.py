"""What a right delivery gets: one row, 202, at once, whatever the event and however often it comes."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.kit import payloads
from tests.kit.payloads import Delivery, Told
from tests.webhooks.receiving import HOOK, Receiver, site

SAMPLES = payloads.samples()


@pytest.mark.covers("WH-01")
@pytest.mark.parametrize(("name", "delivery"), SAMPLES, ids=[name for name, _ in SAMPLES])
def test_every_event_is_accepted_and_kept_once(name: str, delivery: Delivery) -> None:
    here = site()
    headers, body = delivery.signed()
    first = here.client.post("/api/webhook", headers=headers, data=body)
    (push,) = here.receiver.rows.values()
    outcome = push.ignored or "looked at"
    assert (first.status_code, first.get_json()) == (
        202,
        {"new": True, "jobs": int(not push.ignored), "outcome": outcome},
    )
    again = here.client.post("/api/webhook", headers=headers, data=body)
    assert (again.status_code, again.get_json()["new"]) == (202, False)
    assert len(here.receiver.rows) == 1
    own = here.client.post(f"/hooks/{delivery.provider}/{HOOK}", headers=headers, data=body)
    assert (own.status_code, own.get_json()["new"]) == (202, True)


def test_form_and_json_of_github_mean_the_same() -> None:
    here = site()
    told = Told("https://github.com/acme/größe+1%26")
    json = payloads.github(told)
    for kind in (payloads.JSON, payloads.FORM):
        headers, body = Delivery("github", json.headers, json.payload, kind).signed()
        assert here.client.post("/api/webhook", headers=headers, data=body).status_code == 202
    assert len(here.receiver.rows) == 1
    assert next(iter(here.receiver.rows.values())).repo_urls[0] == told.web


@pytest.mark.parametrize(
    "body",
    [b"", b"payload", b"payload=", b"payload={", b"payload=%ff", b"other=%7B%7D", b"payload=%7B%7D&payload=%7B%7D",
     b"payload=%5B%5D", b"\xff\xfe", b"a=1&" * 100],
)  # fmt: skip
def test_a_form_that_carries_no_payload_is_malformed(body: bytes) -> None:
    headers = payloads.sign("github", {"X-GitHub-Event": "push", "Content-Type": payloads.FORM}, body)
    assert site().client.post("/api/webhook", headers=headers, data=body).status_code == 400


def test_fifty_times_at_once_is_one_row() -> None:
    here = site()
    headers, body = SAMPLES[0][1].signed()

    def send(_: int) -> int:
        return here.client.post("/api/webhook", headers=headers, data=body).status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(send, range(50))) == {202}
    assert len(here.receiver.rows) == 1


def test_an_answer_costs_little() -> None:
    """Our own CPU beside the row: the median of a delivery of ten kilobytes stays far below two milliseconds."""
    here = site(receiver=Receiver())
    delivery = payloads.github(Told("https://github.com/acme/shop"))
    delivery.payload["commits"] = delivery.payload["commits"] * 20
    headers, body = delivery.signed()
    environ = here.client.post("/api/webhook", headers=headers, data=body).request.environ
    assert len(body) > 8_000
    costs = []
    for _ in range(200):
        stream = type(environ["wsgi.input"])(body)
        call = {name: value for name, value in environ.items() if not name.startswith(("werkzeug", "flask"))}
        started = time.thread_time()
        list(here.app({**call, "wsgi.input": stream}, lambda *_: lambda _: None))
        costs.append(time.thread_time() - started)
    assert sorted(costs)[100] < 0.002
