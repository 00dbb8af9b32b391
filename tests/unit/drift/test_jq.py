"""The part of jq that ignore rules may use."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.drift.jq import NotUnderstood, places

BODY: dict[str, Any] = {
    "a": {"b-c": [{"name": "x", "on": True, "n": 1}, {"name": "yx", "n": 2}, {"name": "z", "on": None}]},
    "list": ["p", "q"],
    "d.e": {"f": 1},
}


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (".list", [("list",)]),
        ('."d.e".f', [("d.e", "f")]),
        ('.["d.e"]["f"]', [("d.e", "f")]),
        (".list[1]", [("list", 1)]),
        (".list[-1]", [("list", 1)]),
        (".list[]", [("list", 0), ("list", 1)]),
        (".list[]?", [("list", 0), ("list", 1)]),
        (".nowhere[]?.x", []),
        (".list[0], .list[1]", [("list", 0), ("list", 1)]),
        ('.a["b-c"][] | select(.name == "x")', [("a", "b-c", 0)]),
        ('.a."b-c"[] | select(.name != "x") | .n', [("a", "b-c", 1, "n"), ("a", "b-c", 2, "n")]),
        ('.a."b-c"[] | select(.on) | .n', [("a", "b-c", 0, "n")]),
        ('.a."b-c"[] | select(.on == true) | .n', [("a", "b-c", 0, "n")]),
        ('.a."b-c"[] | select(.n == 1 or .n == 2) | .n', [("a", "b-c", 0, "n"), ("a", "b-c", 1, "n")]),
        ('.a."b-c"[] | select(.name == "x" and (.n == 2 or .n == 1)) | .n', [("a", "b-c", 0, "n")]),
        ('.a."b-c"[] | select(.on == null | not) | .n', [("a", "b-c", 0, "n")]),
        ('.a."b-c"[] | select(.name | startswith("y")) | .n', [("a", "b-c", 1, "n")]),
        ('.a."b-c"[] | select(.name | endswith("x")) | .n', [("a", "b-c", 0, "n"), ("a", "b-c", 1, "n")]),
        ('.a."b-c"[] | select(.name | test("^x$")) | .n', [("a", "b-c", 0, "n")]),
        ('.a."b-c"[] | select(.name | test("y.*")) | .n', [("a", "b-c", 1, "n")]),
        ('.a."b-c"[] | select(.n == "1") | .n', []),
        ("(.list[0])", [("list", 0)]),
        (".", []),
    ],
)
def test_paths_name_places(expression: str, found: list[tuple[str | int, ...]]) -> None:
    assert places(expression, BODY) == found


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "a",
        ".a |",
        ".a[",
        ".a | map(.x)",
        ".a | to_entries",
        "..",
        ".a[1:2]",
        ".a | select(.b > 1)",
        '.a | select(.b | test("(x+)+$"))',
        '.a | select(.b | test("a.c"))',
        '."\\x"',
        ".a = 1",
        "del(.a)",
        "$x",
        "." * 3000,
    ],
)
def test_anything_else_is_refused(expression: str) -> None:
    with pytest.raises(NotUnderstood, match="jq path"):
        places(expression, BODY)


@given(st.text(alphabet='.[]|()"ab01,?=! selct', max_size=30))
def test_no_text_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(NotUnderstood):
        places(text, BODY)
