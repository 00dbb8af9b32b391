"""A unified text diff as rows for a page: line numbers, gaps, and marks on the words that changed. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Indel

MOST_LINES = 10_000
MOST_BYTES = 1_000_000
"""Above either, a diff is shown by its fields only."""
TOO_DIFFERENT = 0.6
"""Share of a pair of lines that may differ for marks on words to help; above it the whole lines are marked."""
LONGEST_MARKED = 2_000
"""Characters of a line up to which its words are compared."""

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_WORDS = re.compile(r"\w+|\s+|.", re.S)


@dataclass(frozen=True)
class Piece:
    """A run of text in a line; `changed` ones are marked."""

    text: str
    changed: bool = False


@dataclass(frozen=True)
class Row:
    """One line. `kind` is `same`, `old` (live only), `new` (Git only) or `gap` (`skipped` equal lines)."""

    kind: str
    pieces: tuple[Piece, ...] = ()
    old: int = 0
    new: int = 0
    skipped: int = 0


def too_large(text: str) -> bool:
    """Whether a diff is too large to be shown line by line."""
    return len(text) > MOST_BYTES or text.count("\n") > MOST_LINES


def rows(text: str) -> tuple[Row, ...]:
    """The rows of a unified diff without its two title lines. Lines that are no part of a hunk are left out."""
    found: list[Row] = []
    old = new = 1
    removed: list[tuple[int, str]] = []
    added: list[tuple[int, str]] = []
    # Not splitlines: a value may hold characters that Python takes for line ends and YAML does not.
    for line in text.split("\n")[2:]:
        sign, content = line[:1], line[1:]
        if sign == "-":
            removed.append((old, content))
            old += 1
            continue
        if sign == "+":
            added.append((new, content))
            new += 1
            continue
        found += _changed(removed, added)
        removed, added = [], []
        if hunk := _HUNK.match(line):
            start_old, start_new = int(hunk[1]), int(hunk[3])
            skipped = max(start_old - old, start_new - new)
            if skipped > 0:
                found.append(Row("gap", skipped=skipped))
            old, new = start_old, start_new
        elif sign == " ":
            found.append(Row("same", (Piece(content),), old, new))
            old, new = old + 1, new + 1
    found += _changed(removed, added)
    return tuple(found)


def _changed(removed: Sequence[tuple[int, str]], added: Sequence[tuple[int, str]]) -> Iterator[Row]:
    """A run of removed lines and the run of added lines that follows it, marked pair by pair."""
    pairs = [marks(before, after) for (_, before), (_, after) in zip(removed, added, strict=False)]
    for position, (number, text) in enumerate(removed):
        pieces = pairs[position][0] if position < len(pairs) else (Piece(text),)
        yield Row("old", pieces, old=number)
    for position, (number, text) in enumerate(added):
        pieces = pairs[position][1] if position < len(pairs) else (Piece(text),)
        yield Row("new", pieces, new=number)


def marks(before: str, after: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Two lines with the words marked in which they differ; whole lines if they have little in common."""
    if max(len(before), len(after)) > LONGEST_MARKED:
        return (Piece(before),), (Piece(after),)
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if not old or not new or Indel.normalized_distance(old, new) > TOO_DIFFERENT:
        return (Piece(before),), (Piece(after),)
    left: list[Piece] = []
    right: list[Piece] = []
    for step in Indel.opcodes(old, new):
        changed = step.tag != "equal"
        _add(left, "".join(old[step.src_start : step.src_end]), changed)
        _add(right, "".join(new[step.dest_start : step.dest_end]), changed)
    return tuple(left), tuple(right)


def _add(pieces: list[Piece], text: str, changed: bool) -> None:
    if not text:
        return
    if pieces and pieces[-1].changed == changed:
        text = pieces.pop().text + text
    pieces.append(Piece(text, changed))
