"""JSON merge patch (RFC 7386) and JSON patch (RFC 6902) of plain values. Pure: the given document stays as it is."""

from copy import deepcopy
from typing import Any

MOST_OPERATIONS = 500


class BadPatch(Exception):
    """The patch cannot be applied. `str()` says which part and why."""


def merged(document: Any, patch: Any) -> Any:
    """The document with a merge patch: null removes a field, objects are merged, all else replaces."""
    if not isinstance(patch, dict):
        return deepcopy(patch)
    found = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


def patched(document: Any, operations: Any) -> Any:
    """The document with a JSON patch: all operations or, by BadPatch, none."""
    if not isinstance(operations, list) or len(operations) > MOST_OPERATIONS:
        raise BadPatch(f"patch: want a list of at most {MOST_OPERATIONS} operations")
    # A value that is copied again and again would grow without bound: each step copies what it takes.
    holder = {"": deepcopy(document)}
    for number, operation in enumerate(operations):
        try:
            _apply(holder, operation)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError):
            path = operation.get("path") if isinstance(operation, dict) else operation
            raise BadPatch(f"patch operation {number}: {str(path)[:200]!r} cannot be applied") from None
    return holder[""]


def _apply(holder: dict[str, Any], operation: dict[str, Any]) -> None:
    op, path = operation["op"], _parts(operation["path"])
    if op == "add":
        _put(holder, path, deepcopy(operation["value"]), insert=True)
    elif op == "replace":
        _take(holder, path, keep=True)
        _put(holder, path, deepcopy(operation["value"]), insert=False)
    elif op == "remove":
        _take(holder, path)
    elif op == "test":
        if _take(holder, path, keep=True) != operation["value"]:
            raise ValueError
    elif op == "move":
        source = _parts(operation["from"])
        if path[: len(source)] == source and len(path) > len(source):
            raise ValueError
        _put(holder, path, _take(holder, source), insert=True)
    elif op == "copy":
        _put(holder, path, deepcopy(_take(holder, _parts(operation["from"]), keep=True)), insert=True)
    else:
        raise ValueError


def _parts(path: str) -> list[str]:
    """A JSON pointer, below the holder's one field."""
    if path and not path.startswith("/"):
        raise ValueError
    return ["", *(part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])]


def _parent(holder: Any, path: list[str]) -> Any:
    for part in path[:-1]:
        holder = holder[_index(holder, part)]
    return holder


def _index(parent: Any, part: str) -> Any:
    if isinstance(parent, dict):
        return part
    if not isinstance(parent, list) or not part.isascii() or not part.isdecimal() or (part != "0" and part[0] == "0"):
        raise ValueError
    return int(part)


def _take(holder: Any, path: list[str], keep: bool = False) -> Any:
    parent = _parent(holder, path)
    at = _index(parent, path[-1])
    return parent[at] if keep else parent.pop(at)


def _put(holder: Any, path: list[str], value: Any, insert: bool) -> None:
    parent = _parent(holder, path)
    if isinstance(parent, dict):
        parent[path[-1]] = value
        return
    at = len(parent) if path[-1] == "-" and insert else _index(parent, path[-1])
    if insert:
        if at > len(parent):
            raise IndexError
        parent.insert(at, value)
    else:
        parent[at] = value
