"""What a row says of its measures, and what a file keeps of rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.rows import Failed, Measure, Row, median, merge, number, percentile, ratio
from bench.run import FAMILIES, ORDER, chosen

TIMES = st.lists(st.floats(0, 100), min_size=1)


def row(*measures: Measure) -> Row:
    return Row("push_to_write", "webhook to first write", measures, runs=30)


def test_a_row_is_ok_when_every_measure_is_in_reach() -> None:
    assert row(Measure("p50", 0.25, "s", 0.25), Measure("p95", 9.0, "s")).ok
    assert not row(Measure("p50", 0.2, "s", 0.25), Measure("p95", 0.51, "s", 0.5)).ok
    assert not row().ok


def test_a_row_as_json_carries_its_first_measure_and_all_reaches() -> None:
    found = row(Measure("p50", 0.21, "s", 0.25), Measure("of the limit", 2.5, "", 2.0)).to_json()
    assert (found["value"], found["unit"], found["ok"]) == (0.21, "s", False)
    assert found["reach"] == "p50 ≤ 0.25 s, of the limit ≤ 2"
    assert [measure["ok"] for measure in found["measures"]] == [True, False]


@pytest.mark.parametrize(("value", "text"), [(5.0, "5"), (0.12345, "0.123"), (1234.5, "1234"), (12.345, "12.3")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


@given(TIMES, st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_enough_do_not_exceed(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values) + 1e-9


@given(TIMES)
def test_the_median_parts_the_values(values: list[float]) -> None:
    found = median(values)
    assert 2 * sum(value < found for value in values) <= len(values)
    assert 2 * sum(value > found for value in values) <= len(values)


def test_there_is_no_median_of_nothing() -> None:
    for summary in (median, lambda values: percentile(values, 0.5)):
        with pytest.raises(ValueError, match="no values"):
            summary([])
    assert ratio(1.0, 0.0) == float("inf")


def test_measuring_one_row_keeps_the_others() -> None:
    known = [{"id": "a", "value": 1}, {"id": "b", "value": 2}]
    fresh = [{"id": "b", "value": 3}, Failed("c", "no world").to_json()]
    assert merge(known, fresh) == [{"id": "a", "value": 1}, {"id": "b", "value": 3}, fresh[1]]


def test_every_row_is_made_by_one_family_and_can_be_asked_for_alone() -> None:
    made = [name for names in FAMILIES.values() for name in names]
    assert sorted(made) == sorted(ORDER)
    assert len(set(made)) == len(made)
    assert chosen(["cpu_200"]) == ["many_apps:run_200"]
    assert chosen([]) == list(FAMILIES)
    with pytest.raises(ValueError, match="apps_201: there is no such row"):
        chosen(["apps_201"])
