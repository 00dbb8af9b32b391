"""Read what was asked: query parameters as the table says, JSON bodies field by field; refuse what is wrong by name."""

import re
from collections.abc import Sequence
from typing import Any, NoReturn

from flask import request

from service.answers import Code, json_body, refuse
from service.api.routes import Argument, Arguments

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 500
_TRUE, _FALSE = frozenset({"true", "1", "yes", ""}), frozenset({"false", "0", "no"})
_LONGEST = 2000
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000|\x00")


def arguments(wanted: Sequence[Argument]) -> Arguments:
    """The query parameters of a route. What the table does not name is ignored: Argo CD's clients send much."""
    found: dict[str, Any] = {}
    for each in wanted:
        values = [_value(each, text) for text in request.args.getlist(each.name)[:100]]
        found[each.name] = tuple(values) if each.many else (values[-1] if values else None)
    return found


def _value(each: Argument, text: str) -> Any:
    if len(text) > _LONGEST or "\x00" in text:
        wrong(f"{each.name}: is too long, or no text")
    if each.kind == "boolean":
        if text.lower() not in _TRUE | _FALSE:
            wrong(f"{each.name}: want true or false")
        return text.lower() in _TRUE
    if each.kind == "integer":
        try:
            number = int(text)
        except ValueError:
            wrong(f"{each.name}: want a whole number")
        if abs(number) > 2**53:
            wrong(f"{each.name}: is out of range")
        return number
    if each.choices and text and text not in each.choices:
        wrong(f"{each.name}: want {' or '.join(each.choices)}")
    return text


def limit_of(asked: Arguments) -> int:
    """The page size that was asked for, within bounds."""
    limit = asked.get("limit")
    if limit is None or limit == 0:
        return DEFAULT_LIMIT
    if limit < 0:
        wrong("limit: want a number from 1 to 500")
    return min(int(limit), LARGEST_LIMIT)


def before_of(asked: Arguments) -> int | None:
    """A `continue` that is the number of a row."""
    text = asked.get("continue")
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        wrong("continue: is none of ours; take it from metadata.continue of the page before")
    return int(text)


def body() -> dict[str, Any]:
    """The request's JSON object; an empty body of the right content type is an empty object."""
    if request.mimetype == "application/json" and not request.get_data():
        return {}
    no_nul(request.get_data())
    return json_body()


def no_nul(text: bytes) -> None:
    """Refuse JSON that holds a NUL character: no declaration needs one, and PostgreSQL cannot keep it."""
    if _NUL.search(text):
        wrong("the body holds a NUL character")


def text_in(found: Any, name: str, default: str = "") -> str:
    """A text field. Null counts as not given."""
    value = found.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or "\x00" in value:
        wrong(f"{name}: want text")
    return value


def flag_in(found: Any, name: str) -> bool | None:
    """A boolean field, None if it is not given."""
    value = found.get(name)
    if value is not None and not isinstance(value, bool):
        wrong(f"{name}: want true or false")
    return value


def number_in(found: Any, name: str) -> int | None:
    """An integer field, None if it is not given. JSON of protobuf clients has 64-bit numbers as text."""
    value = found.get(name)
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**31:
        wrong(f"{name}: want a whole number")
    return value


def section_in(found: Any, name: str) -> dict[str, Any]:
    """An object field, empty if it is not given."""
    value = found.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        wrong(f"{name}: want an object")
    return value


def sections_in(found: Any, name: str) -> list[dict[str, Any]]:
    """A list of objects, empty if it is not given."""
    value = found.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        wrong(f"{name}: want a list of objects")
    return value


def texts_in(found: Any, name: str) -> list[str] | None:
    """A list of texts, None if it is not given."""
    value = found.get(name)
    if value is not None and (not isinstance(value, list) or not all(isinstance(each, str) for each in value)):
        wrong(f"{name}: want a list of texts")
    return value


def wrong(text: str) -> NoReturn:
    """Answer 400."""
    refuse(400, text, Code.INVALID_ARGUMENT)
