"""Version ranges mean what Masterminds/semver says they mean."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.desired.semver import Version, parse_range, parse_version

# Made by a Go program over NewVersion, NewConstraint and Check of the library that the file names.
TABLE = json.loads((Path(__file__).parent / "masterminds.json").read_text())


@pytest.mark.covers("REV-02")
def test_every_answer_of_the_library() -> None:
    versions = [parse_version(text) for text in TABLE["versions"]]
    assert {text: version is not None for text, version in zip(TABLE["versions"], versions, strict=True)} == TABLE[
        "valid"
    ]
    assert len(TABLE["ranges"]) > 700
    for row in TABLE["ranges"]:
        asked = parse_range(row["range"])
        assert (asked is not None) == row["ok"], row["range"]
        if asked:
            answers = "".join("-" if v is None else "01"[asked.admits(v)] for v in versions)
            assert answers == row["in"], row["range"]


@pytest.mark.covers("REV-04")
@pytest.mark.parametrize(
    ("text", "best"),
    [
        ("*", "v2.0.0"),
        ("1.x", "1.10.0"),
        ("~1.2", "1.2.9"),
        ("^1.2", "1.10.0"),
        (">=1.2.0 <1.3.0", "1.2.9"),
        ("1.0 - 1.2", "1.2.9"),
        ("<1 || >=2", "v2.0.0"),
        ("*-0", "3.0.0-rc.1"),
        (">=3.0.0-0", "3.0.0-rc.1"),
        (">5", None),
    ],
)
def test_the_highest_fitting_version_wins(text: str, best: str | None) -> None:
    names = ["0.9.0", "1.2.0", "1.2.9", "1.10.0", "v2.0.0", "3.0.0-alpha.11", "3.0.0-alpha.2", "3.0.0-rc.1"]
    asked = parse_range(text)
    assert asked is not None
    found = asked.best(version for name in names if (version := parse_version(name)))
    assert (found.original if found else None) == best


def test_hostile_ranges_cost_no_time() -> None:
    began = time.perf_counter()
    for text in ("1   " * 128 + "!", ">=" * 256, "1 - " * 128, "1||" * 170, "1-" + "a." * 250, " " * 512 + "1"):
        parse_range(text)
        parse_range(text[:512])
    assert time.perf_counter() - began < 0.5


numbers = st.integers(min_value=0, max_value=12)
words = st.one_of(numbers.map(str), st.from_regex(r"[a-z][a-z0-9-]{0,3}", fullmatch=True))
pre_releases = st.one_of(st.just(""), st.lists(words, min_size=1, max_size=3).map(".".join))
versions = st.builds(Version, numbers, numbers, numbers, pre_releases)


def written(version: Version) -> str:
    return f"{version.major}.{version.minor}.{version.patch}" + (f"-{version.pre}" if version.pre else "")


@given(versions)
def test_a_version_reads_back(version: Version) -> None:
    assert parse_version(written(version)) == version
    assert parse_version("v" + written(version)) == version


@given(versions, versions)
def test_ranges_follow_the_order_of_versions(low: Version, other: Version) -> None:
    text = written(low)
    at_least, above, below, exactly = (parse_range(f"{sign}{text}") for sign in (">=", ">", "<", "="))
    assert at_least and above and below and exactly
    if other.pre and not low.pre:
        assert not at_least.admits(other)
        return
    assert at_least.admits(other) == (other.precedence >= low.precedence)
    assert above.admits(other) == (other.precedence > low.precedence)
    assert below.admits(other) == (not at_least.admits(other))
    assert exactly.admits(other) == (other.precedence == low.precedence)


@given(st.text(alphabet="0123xX*v.-<>=~^|, ab", max_size=30))
def test_any_text_is_a_range_or_none(text: str) -> None:
    asked = parse_range(text)
    if asked:
        asked.admits(Version(1, 2, 3))
