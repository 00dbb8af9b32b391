"""A text diff becomes rows that lose nothing and mark what changed."""

import difflib

from hypothesis import given
from hypothesis import strategies as st

from driftline.drift.diff import text_diff
from service.ui.diffs import Piece, marks, rows, too_large

LINES = st.lists(st.text(st.characters(blacklist_characters="\n", codec="utf-8"), max_size=12), max_size=12)


def _diff(before: list[str], after: list[str]) -> str:
    return "".join(f"{line}\n" for line in difflib.unified_diff(before, after, "live", "Git", lineterm=""))


@given(LINES, LINES)
def test_every_line_of_both_sides_is_shown_under_its_number(before: list[str], after: list[str]) -> None:
    shown = rows(_diff(before, after))
    for row in shown:
        text = "".join(piece.text for piece in row.pieces)
        if row.kind in ("old", "same"):
            assert before[row.old - 1] == text
        if row.kind in ("new", "same"):
            assert after[row.new - 1] == text
    old = {row.old for row in shown if row.kind == "old"}
    new = {row.new for row in shown if row.kind == "new"}
    kept_before = [line for number, line in enumerate(before, 1) if number not in old]
    kept_after = [line for number, line in enumerate(after, 1) if number not in new]
    assert kept_before == kept_after


@given(st.text(max_size=40), st.text(max_size=40))
def test_marks_take_lines_apart_without_changing_them(before: str, after: str) -> None:
    old, new = marks(before, after)
    assert "".join(piece.text for piece in old) == before
    assert "".join(piece.text for piece in new) == after
    if any(piece.changed for piece in (*old, *new)):
        assert [p.text for p in old if not p.changed] or [p.text for p in new if not p.changed]
        assert "".join(p.text for p in old if not p.changed) == "".join(p.text for p in new if not p.changed)


def test_the_words_that_differ_are_marked() -> None:
    assert marks('image: "web:1.4"', 'image: "web:1.5"') == (
        (Piece('image: "web:1.'), Piece("4", True), Piece('"')),
        (Piece('image: "web:1.'), Piece("5", True), Piece('"')),
    )


def test_lines_with_little_in_common_are_marked_whole() -> None:
    assert marks("replicas", "paused") == ((Piece("replicas"),), (Piece("paused"),))


def test_a_gap_says_how_many_equal_lines_it_leaves_out() -> None:
    data = {f"k{number:02}": "v" for number in range(40)}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "many"}, "data": data}
    changed = {**body, "data": {**data, "k20": "w"}}
    shown = rows(text_diff(body, changed, "ConfigMap/many"))
    gap = shown[0]
    assert (gap.kind, gap.skipped) == ("gap", shown[1].old - 1)
    assert [row.kind for row in shown[1:]] == ["same"] * 3 + ["old", "new"] + ["same"] * 3


def test_a_text_of_megabytes_is_not_shown_line_by_line() -> None:
    assert too_large("+x\n" * 10_001)
    assert too_large("x" * 1_000_001)
    assert not too_large("+x\n" * 100)
