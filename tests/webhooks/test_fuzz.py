"""No body and no header makes the endpoint fail: each answer is one that it is meant to give."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit import payloads
from tests.unit.providers.test_hostile_payloads import JSON_VALUES, REPLACEMENTS, places, with_replaced
from tests.webhooks.receiving import HOOK, site

SAMPLES = payloads.samples()
MEANT = {202, 400, 401, 413, 415}
HERE = site(cap=200_000)
CLIENT = HERE.client
HEADER_TEXT = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\x00"), max_size=60)
HEADER_NAMES = st.sampled_from(
    sorted(
        {name for _, delivery in SAMPLES for name in delivery.signed()[0]} | {"Content-Encoding", "Transfer-Encoding"}
    )
)


def post(path: str, headers: dict[str, str], body: bytes) -> int:
    return CLIENT.post(path, headers=headers, data=body).status_code


@given(
    sample=st.sampled_from(SAMPLES),
    changed=st.dictionaries(HEADER_NAMES, HEADER_TEXT, max_size=4),
    dropped=st.sets(HEADER_NAMES, max_size=3),
    own=st.booleans(),
)
def test_any_headers(sample: tuple[str, Any], changed: dict[str, str], dropped: set[str], own: bool) -> None:
    headers, body = sample[1].signed()
    headers = {name: value for name, value in {**headers, **changed}.items() if name not in dropped}
    assert post(f"/hooks/{sample[1].provider}/{HOOK}" if own else "/api/webhook", headers, body) in MEANT


@given(sample=st.sampled_from(SAMPLES), body=st.binary() | JSON_VALUES.map(repr).map(str.encode))
def test_any_bytes_rightly_signed(sample: tuple[str, Any], body: bytes) -> None:
    delivery = sample[1]
    headers = payloads.sign(delivery.provider, delivery.headers, body)
    assert post("/api/webhook", {**headers, "Content-Type": delivery.content_type}, body) in {202, 400}


@settings(max_examples=60)
@given(sample=st.sampled_from(SAMPLES), data=st.data())
def test_bytes_changed_in_the_middle(sample: tuple[str, Any], data: st.DataObject) -> None:
    delivery = sample[1]
    body = bytearray(delivery.body)
    for _ in range(3):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    headers = payloads.sign(delivery.provider, delivery.headers, bytes(body))
    assert post("/api/webhook", {**headers, "Content-Type": delivery.content_type}, bytes(body)) in {202, 400}


@pytest.mark.parametrize("provider", sorted(payloads.PUSH))
def test_any_field_replaced_by_anything_through_the_endpoint(provider: str) -> None:
    delivery = payloads.PUSH[provider](payloads.Told(payloads.web_of(provider)))
    for path in places(delivery.payload):
        for new in REPLACEMENTS[::3]:
            payload = with_replaced(copy.deepcopy(delivery.payload), path, new)
            headers, body = payloads.Delivery(provider, delivery.headers, payload).signed()
            assert post("/api/webhook", headers, body) in {202, 400}
