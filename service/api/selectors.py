"""Kubernetes' label selectors, as `selector=` of a list has them: `app=web,tier in (a,b),!old`. Pure."""

import re
from collections.abc import Callable, Mapping

Matches = Callable[[Mapping[str, str]], bool]

_SET = re.compile(r"\s*([^\s!=,()]+)\s+(in|notin)\s+\(([^()]*)\)\s*")
_EQUAL = re.compile(r"\s*([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)\s*")
_THERE = re.compile(r"\s*(!?)\s*([^\s!=,()]+)\s*")


class BadSelector(Exception):
    """The text is no label selector."""


def selector(text: str) -> Matches:
    """What tells whether labels fit the selector. Raises BadSelector."""
    wanted = [_one(part) for part in _split(text)]
    return lambda labels: all(each(labels) for each in wanted)


def _split(text: str) -> list[str]:
    """The requirements: commas inside parentheses separate values."""
    parts = re.split(r",(?![^()]*\))", text)
    return [part for part in parts if part.strip()]


def _one(text: str) -> Matches:
    if found := _SET.fullmatch(text):
        name, inside = found[1], found[2] == "in"
        values = {value.strip() for value in found[3].split(",")}
        # As Kubernetes has it: `notin` also fits what lacks the label.
        return lambda labels: (labels.get(name) in values) == inside
    if found := _EQUAL.fullmatch(text):
        name, equal, value = found[1], found[2] != "!=", found[3]
        return lambda labels: (labels.get(name) == value) == equal
    if found := _THERE.fullmatch(text):
        absent, name = found[1] == "!", found[2]
        return lambda labels: (name in labels) != absent
    raise BadSelector(f"selector: {text.strip()[:100]!r} is no requirement; want as app=web,tier in (a,b),!old")
