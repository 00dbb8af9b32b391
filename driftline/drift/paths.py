"""Where a field stands in an object: a tuple of path elements as `managedFields` spells them, and its other forms.

An element is `f:<name>` (a field or map key), `k:<JSON of the key fields>` (a list item), `v:<JSON>` (a member of a
set) or `i:<index>`.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import orjson

from driftline.drift.schema import DEDUCED, ListType, Type

Path = tuple[str, ...]
Pointer = tuple[str | int, ...]

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+")


class Nothing:
    """The type of `NOTHING`."""

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final = Nothing()
"""No such field: unlike null, and unlike any JSON value."""


def readable(path: Path) -> str:
    """For people: `spec.template.spec.containers[name=web].image`, `metadata.labels["app.kubernetes.io/name"]`."""
    text = ""
    for element in path:
        kind, content = element[:2], element[2:]
        if kind == "f:":
            plain = _PLAIN.fullmatch(content)
            text += (f".{content}" if text else content) if plain else f"[{orjson.dumps(content).decode()}]"
        elif kind == "k:":
            text += f"[{','.join(f'{key}={_word(value)}' for key, value in orjson.loads(content).items())}]"
        else:
            text += f"[{_word(orjson.loads(content))}]"
    return text


def locate(body: Any, path: Path, type_: Type | None = None) -> tuple[Pointer, Any] | None:
    """The place and value of a path in an object, or None. `type_` fills key fields that an item leaves to defaults."""
    pointer: list[str | int] = []
    for element in path:
        step = _step(body, element, type_ or DEDUCED)
        if step is None:
            return None
        at, body, type_ = step
        pointer.append(at)
    return tuple(pointer), body


def json_pointer(pointer: Pointer) -> str:
    """The RFC 6901 form of a place."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in pointer)


def parse_pointer(text: str) -> tuple[str, ...] | None:
    """The parts of an RFC 6901 pointer; None if it is none, or names the whole document."""
    if not text.startswith("/"):
        return None
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))


def elements_of(body: Any, pointer: Iterable[str | int], type_: Type | None) -> Path:
    """The path elements of a place, ending above the first value that the schema treats as one."""
    path: list[str] = []
    type_ = type_ or DEDUCED
    for part in pointer:
        if isinstance(body, dict) and isinstance(part, str):
            if type_.map is None or type_.map.atomic:
                break
            path.append(f"f:{part}")
            body, type_ = body.get(part), type_.map.child(part) or DEDUCED
        elif isinstance(body, list) and isinstance(part, int) and part < len(body):
            key = None if type_.list is None or type_.list.atomic else type_.list.key_of(body[part])
            if key is None or type_.list is None:
                break
            path.append(key)
            body, type_ = body[part], type_.list.element
        else:
            break
    return tuple(path)


def _step(body: Any, element: str, type_: Type) -> tuple[str | int, Any, Type | None] | None:
    kind, content = element[:2], element[2:]
    if kind == "f:":
        if not isinstance(body, dict) or content not in body:
            return None
        return content, body[content], type_.map.child(content) if type_.map else None
    if not isinstance(body, list):
        return None
    inner = type_.list.element if type_.list else None
    if kind == "i:":
        index = int(content)
        return (index, body[index], inner) if 0 <= index < len(body) else None
    for index, item in enumerate(body):
        if _matches(item, element, type_.list):
            return index, item, inner
    return None


def _matches(item: Any, element: str, type_: ListType | None) -> bool:
    if type_ is not None and not type_.atomic:
        return type_.key_of(item) == element
    wanted = orjson.loads(element[2:])
    if element.startswith("v:"):
        return type(item) is type(wanted) and bool(item == wanted)
    return isinstance(item, dict) and all(key in item and item[key] == value for key, value in wanted.items())


def _word(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
