"""One text has one meaning, or it is refused, in time that grows with its length."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service import strict_json
from service.strict_json import MAX_DEPTH, Malformed, parse


def nested(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is not valid JSON"),
        (b"{", "the body is not valid JSON"),
        (b'{"a": NaN}', "the body is not valid JSON"),
        (b'{"a": Infinity}', "the body is not valid JSON"),
        (b'{"a": -Infinity}', "the body is not valid JSON"),
        (b'{"a": 1e999}', "the body is not valid JSON"),
        (b'{"a": "\\ud800"}', "the body is not valid JSON"),
        (b'{"a": "\\udc00\\ud800"}', "the body is not valid JSON"),
        (b'{"a": "\xff"}', "the body is not valid JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "the body is not valid JSON"),
        ('{"a": 1}'.encode("utf-16"), "the body is not valid JSON"),
        (b'{"a": 1} {"a": 1}', "the body is not valid JSON"),
        (b"{'a': 1}", "the body is not valid JSON"),
        (b'{"a": 1,}', "the body is not valid JSON"),
        (b'{"a": "\x00"}', "the body is not valid JSON"),
        (b"[" * 100_000, "the body is not valid JSON"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "the body is not valid JSON"),
        (b"[1]", "the body is not a JSON object"),
        (b'"text"', "the body is not a JSON object"),
        (b"null", "the body is not a JSON object"),
        (b'{"a": 1, "a": 1}', "the body names a key twice"),
        (b'{"ref": 1, "r\\u0065f": 2}', "the body names a key twice"),
        (b'{"x": [{"b": {"a": 1, "c": 2, "a": 3}}]}', "the body names a key twice"),
        (nested(MAX_DEPTH + 1), f"the body nests deeper than {MAX_DEPTH} levels"),
        (b'{"a": [' + b"[]," * 1_000_000 + b"[]]}", f"the body has more than {strict_json.MAX_VALUES} values"),
    ],
)
def test_what_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse(body)
    assert str(refused.value) == reason


def test_what_is_accepted() -> None:
    assert parse(nested(MAX_DEPTH))
    assert parse(rb'{"a:b": "c:d\"e:", "\\": ":", "": {"a:b": "\\\":"}}') == {
        "a:b": 'c:d"e:',
        "\\": ":",
        "": {"a:b": '\\":'},
    }


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=15,
)


@settings(max_examples=40)
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5), st.booleans())
def test_every_sound_document_means_what_it_says(document: dict[str, Any], escaped: bool) -> None:
    assert parse(json.dumps(document, ensure_ascii=escaped).encode()) == document


@given(st.binary())
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    try:
        parse(body)
    except Malformed:
        pass


@pytest.mark.parametrize(
    "unit",
    [b'"a":1,', b'"\\"', b"\\", b'"', b"[],", b"{", b"1", b"-", b'"a":"' + b"x" * 1000 + b'",'],
)
def test_hostile_repetitions_take_no_more_than_linear_time(unit: bytes) -> None:
    def cost(size: int) -> float:
        body = b'{"a":' + unit * (size // len(unit)) + b"}"
        started = time.process_time()
        try:
            parse(body)
        except Malformed:
            pass
        return time.process_time() - started

    # 20 times the size: linear is 20 times the time, quadratic would be 400 times.
    assert cost(2_000_000) < 100 * max(cost(100_000), 0.002)
