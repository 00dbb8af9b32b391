"""Which version of a chart a targetRevision means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.desired.releases import Answer, answer_to, choose, concerns, pinned, validate
from driftline.model.errors import Permanent

LISTED = ("0.9.0", "17.0.0", "17.0.1", "18.0.0", "18.1.0", "18.2.0-rc.1", "v19.0.0", "19.1.0+build.5", "latest")
DIGEST = "sha256:" + "a" * 64


@pytest.mark.covers("REV-04")
@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", "19.1.0+build.5"),
        ("*", "19.1.0+build.5"),
        ("18.*", "18.1.0"),
        (">=17 <18", "17.0.1"),
        ("~17.0.0 || 0.9.x", "17.0.1"),
        ("18", "18.1.0"),
        ("v17.0", "17.0.1"),
        ("*-0", "19.1.0+build.5"),
        (">=18.0.0-0 <19.0.0-0", "18.2.0-rc.1"),
        ("18.0.0", "18.0.0"),
        ("18.2.0-rc.1", "18.2.0-rc.1"),
        ("latest", "latest"),
        ("19.0.0", "v19.0.0"),
        ("19.1.0", "19.1.0+build.5"),
        (DIGEST, DIGEST),
    ],
)
def test_a_target_revision_names_one_version(wanted: str, found: str) -> None:
    validate(wanted)
    assert choose(wanted, LISTED, "chart redis") == found


@pytest.mark.parametrize(
    ("wanted", "listed", "said"),
    [
        (
            "18.9.0",
            LISTED,
            "chart redis: there is no version 18.9.0; the nearest there are: 18.0.0, 18.1.0, v19.0.0, 19.1.0+build.5",
        ),
        (
            "^1.0",
            LISTED,
            "chart redis: no version satisfies '^1.0'; the nearest there are: 0.9.0, 17.0.0, 17.0.1, 18.0.0",
        ),
        (
            ">=20",
            LISTED,
            "chart redis: no version satisfies '>=20'; the nearest there are: 18.0.0, 18.1.0, v19.0.0, 19.1.0+build.5",
        ),
        (
            "1.*",
            ("1.0.0-a", "1.0.0-b"),
            "chart redis: no version satisfies '1.*'; there are pre-releases only, the newest is 1.0.0-b: "
            "write '>=1.0.0-b' to have them",
        ),
        ("1.*", ("stable", "edge"), "chart redis: no version satisfies '1.*'; there are edge, stable"),
        ("1.*", (), "chart redis: the repository lists no version of it; check its name"),
    ],
)
def test_what_does_not_exist_is_answered_with_what_comes_near(wanted: str, listed: tuple[str, ...], said: str) -> None:
    with pytest.raises(Permanent) as refused:
        choose(wanted, listed, "chart redis")
    assert str(refused.value) == said


@pytest.mark.parametrize("wanted", ["a b", "--version=1", "1.0\n", "sha256:12", "../x", "x" * 300, "{{1}}"])
def test_what_is_no_version_is_refused(wanted: str) -> None:
    with pytest.raises(Permanent):
        validate(wanted)


def test_a_pin_is_not_a_range() -> None:
    assert [pinned(each) for each in ("18.1.0", "latest", DIGEST, "18", "18.1", "*", "", "^1")] == [True] * 3 + [
        False
    ] * 5


@pytest.mark.covers("WH-08")
def test_a_published_tag_concerns_whoever_may_take_it() -> None:
    assert concerns("18.*", "18.3.0")
    assert concerns("", "1.0.0")
    assert concerns("18.3.0", "v18.3.0")
    assert concerns("latest", "latest")
    assert concerns("18.3.0+build", "18.3.0_build"), "registries cannot write a plus"
    assert concerns("my_tag", "my_tag")
    assert concerns("18.*", "sha-of-something"), "a tag that is no version says nothing"
    assert not concerns("18.*", "19.0.0")
    assert not concerns("18.*", "18.3.0-rc.1")
    assert not concerns("18.2.0", "18.3.0")


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 3), min_size=1), st.integers(0, 30))
def test_the_choice_is_the_highest_that_is_admitted(numbers: list[tuple[int, int, int]], major: int) -> None:
    listed = [".".join(map(str, each)) for each in numbers]
    fitting = [each for each in numbers if each[0] == major]
    if fitting:
        assert choose(f"{major}.*", listed, "x") == ".".join(map(str, max(fitting)))
    else:
        with pytest.raises(Permanent, match="nearest"):
            choose(f"{major}.*", listed, "x")


def test_answers_are_kept_by_chart_and_revision() -> None:
    kept = [
        Answer("redis", "18.*", "18.1.0", DIGEST).to_json(),
        Answer("redis", "", problem="chart redis: gone").to_json(),
    ]
    assert answer_to(kept, "redis", "18.*") == Answer("redis", "18.*", "18.1.0", DIGEST)
    assert answer_to(kept, "redis", "") == Answer("redis", "", problem="chart redis: gone")
    assert answer_to(kept, "web", "") is None
