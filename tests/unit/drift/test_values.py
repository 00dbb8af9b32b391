"""When two spellings are one value."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.drift.paths import NOTHING
from driftline.drift.quantities import normal
from driftline.drift.values import covers, same


@pytest.mark.parametrize(
    ("kind", "left", "right"),
    [
        ("quantity", "1000m", "1"),
        ("quantity", "1000m", 1),
        ("quantity", 0.5, "500m"),
        ("quantity", "1024Mi", "1Gi"),
        ("quantity", "1e3", "1k"),
        ("quantity", "1E", "1000P"),
        ("quantity", "0.5Gi", "512Mi"),
        ("quantity", "-0", "0"),
        ("quantity", "0.1n", "1n"),
        ("time", "2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00Z"),
        ("time", "2026-01-01T00:00:00.9Z", "2026-01-01T00:00:00Z"),
        ("microtime", "2026-01-01T00:00:00.500Z", "2026-01-01T00:00:00.500000Z"),
        ("byte", "aGVs\nbG8=", "aGVsbG8="),
    ],
)
def test_these_are_one_value(kind: str, left: Any, right: Any) -> None:
    assert normal(kind, left) == normal(kind, right)


@pytest.mark.parametrize(
    ("kind", "left", "right"),
    [
        ("quantity", "1000m", "1.001"),
        ("quantity", "1M", "1Mi"),
        ("quantity", "1K", "1k"),
        ("quantity", True, 1),
        ("time", "2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z"),
        ("microtime", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z"),
        ("byte", "aGVsbG8=", "aGVsbG8"),
        ("", "1000m", "1"),
        ("", "80", 80),
    ],
)
def test_these_are_not(kind: str, left: Any, right: Any) -> None:
    one, other = normal(kind, left), normal(kind, right)
    assert one is not True or other is not True
    assert not (isinstance(one, bool) == isinstance(other, bool) and one == other)


@given(st.integers(-(10**9), 10**9))
def test_milli_is_a_thousandth(number: int) -> None:
    assert normal("quantity", f"{number}m") == Fraction(number, 1000)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "1", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=8,
)


@given(JSON, JSON)
def test_equality_is_that_of_json(left: Any, right: Any) -> None:
    from driftline.model.digests import canonical

    assert same(left, right) == (canonical(left) == canonical(right))


@given(JSON)
def test_everything_covers_itself(value: Any) -> None:
    assert covers(value, value)


def test_numbers_are_not_booleans_and_added_fields_are_covered() -> None:
    assert not same(1, True)
    assert same(1, 1.0)
    assert covers([{"port": 80, "protocol": "TCP"}], [{"port": 80}])
    assert not covers([{"port": 80}, {"port": 81}], [{"port": 80}])
    assert not covers({"a": 1}, {"a": 2})
    assert covers(NOTHING, False)
    assert not covers(NOTHING, "x")
