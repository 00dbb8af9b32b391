"""Globs of include and exclude, and of value files, as users of Argo CD write them."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.desired.globs import is_glob, matches
from driftline.model.errors import Permanent


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("*.yaml", "web.yaml", True),
        ("*.yaml", "sub/web.yaml", True),
        ("*.yaml", "web.yml", False),
        ("{*.yaml,*.yml}", "web.yml", True),
        ("{web,db/*}.yaml", "db/main.yaml", True),
        ("{a,b{c,d}}", "bd", True),
        ("{a,b{c,d}}", "b", False),
        ("{,x}y", "y", True),
        ("we?.yaml", "web.yaml", True),
        ("[a-c]*", "beta", True),
        ("[!a-c]*", "beta", False),
        ("[]]", "]", True),
        ("a\\*", "a*", True),
        ("a\\*", "ab", False),
        ("[", "[", True),
        ("", "", True),
        ("a", "ab", False),
        ("GRÜẞE*", "GRÜẞE!", True),
    ],
)
@pytest.mark.covers("GEN-04")
def test_patterns_of_include_and_exclude(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("*.yaml", "sub/web.yaml", False),
        ("**/*.yaml", "sub/deep/web.yaml", True),
        ("**/*.yaml", "web.yaml", True),
        ("envs/**", "envs/a/b.yaml", True),
        ("envs/*/values.yaml", "envs/prod/values.yaml", True),
        ("envs/*/values.yaml", "envs/a/b/values.yaml", False),
        ("envs/pr?d.yaml", "envs/pr/d.yaml", False),
        ("envs/[!x]d.yaml", "envs//d.yaml", False),
    ],
)
def test_with_a_separator_only_two_stars_go_deeper(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text, "/") is fits


def test_patterns_that_are_none_are_named() -> None:
    with pytest.raises(Permanent, match="a brace is not closed"):
        matches("{a,b", "a")
    with pytest.raises(Permanent, match="more than 256 alternatives"):
        matches("{a,b}" * 9, "a")
    with pytest.raises(Permanent, match="longer than 1024"):
        matches("a" * 1025, "a")
    assert is_glob("a{b") and not is_glob("a/b.yaml")


def test_no_pattern_is_slow() -> None:
    started = time.monotonic()
    for separator in ("", "/"):
        assert not matches("*a" * 400 + "b", "a" * 500, separator)
        assert not matches("**/" * 300 + "b", "a/" * 300, separator)
    assert time.monotonic() - started < 2


pieces = st.sampled_from(["*", "?", "a", "b", "/", "[ab]", "[!a]", "\\*"])


@given(parts=st.lists(pieces, max_size=8), text=st.text("ab/*", max_size=8))
def test_the_matcher_agrees_with_a_regular_expression(parts: list[str], text: str) -> None:
    expressions = {"*": ".*", "?": ".", "[!a]": "[^a]", "\\*": r"\*"}
    expression = "".join(expressions.get(part, part) for part in parts)
    assert matches("".join(parts), text) is (re.fullmatch(expression, text, re.DOTALL) is not None)
