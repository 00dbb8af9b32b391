"""A person's word that deletions may run."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.sync.confirmation import DELETION_APPROVED, approves, confirmed, only_confirms, stamp

NOON = datetime(2026, 5, 1, 12, 0, 0, 700_000, tzinfo=UTC)
ZONED = st.integers(10**9, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds + 0.25, UTC))


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ("2026-05-01T12:00:00Z", True),
        ("2026-05-01T14:00:01+02:00", True),
        ("2026-05-01T11:59:59Z", False),
        ("2026-05-01T14:00:00", False),
        ("2026-05-01", False),
        ("yes", False),
        ("", False),
    ],
)
def test_only_a_time_that_is_not_older_than_the_operation_counts(said: str, counts: bool) -> None:
    assert approves({DELETION_APPROVED: said}, NOON) is counts


def test_without_the_annotation_nothing_is_allowed() -> None:
    assert not approves({}, NOON)


@given(ZONED, st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_word_given_now_counts_for_what_began_before_and_not_for_what_begins_later(
    began: datetime, after: int, later: int
) -> None:
    said = stamp(began + timedelta(seconds=after))
    assert approves({DELETION_APPROVED: said}, began)
    assert not approves({DELETION_APPROVED: said}, began + timedelta(seconds=after + later))


@given(st.dictionaries(st.text(), st.text()), st.dictionaries(st.sampled_from("abc"), st.integers()))
def test_a_confirmation_changes_nothing_but_the_annotation(annotations: dict[str, str], spec: dict[str, int]) -> None:
    document = {"metadata": {"name": "shop", "annotations": annotations}, "spec": spec}
    said = confirmed(document, NOON)
    assert only_confirms(document, said) and only_confirms(said, document)
    assert not only_confirms(document, {**said, "spec": {**spec, "more": 1}})
    assert not only_confirms(document, {**said, "metadata": {"name": "other"}})
