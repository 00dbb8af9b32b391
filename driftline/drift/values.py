"""Whether two JSON values are the same value to the API server."""

from typing import Any

from driftline.drift.paths import NOTHING
from driftline.drift.quantities import normal
from driftline.drift.schema import UNTYPED, Type


def same(left: Any, right: Any, type_: Type | None = None) -> bool:
    """Equality of two values as a whole: `1` is not `true`, `1.0` is `1`; spelling counts unless the type names it."""
    type_ = type_ or UNTYPED
    if isinstance(left, dict):
        if not isinstance(right, dict) or left.keys() != right.keys():
            return False
        child = type_.map.child if type_.map else None
        return all(same(value, right[name], child(name) if child else None) for name, value in left.items())
    if isinstance(left, list):
        if not isinstance(right, list) or len(left) != len(right):
            return False
        element = type_.list.element if type_.list else None
        return all(same(one, other, element) for one, other in zip(left, right, strict=True))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(right, dict | list):
        return False
    if type_.normal:
        return bool(normal(type_.normal, left) == normal(type_.normal, right))
    return bool(left == right)


def covers(whole: Any, part: Any, type_: Type | None = None) -> bool:
    """Whether `whole` is `part` with, at most, fields added: what a server that only fills in defaults answers."""
    type_ = type_ or UNTYPED
    if hollow(part) and (whole is NOTHING or whole is None):
        return True
    if isinstance(part, dict):
        if not isinstance(whole, dict):
            return False
        child = type_.map.child if type_.map else None
        return all(
            covers(whole.get(name, NOTHING), value, child(name) if child else None) for name, value in part.items()
        )
    if isinstance(part, list):
        if not isinstance(whole, list) or len(part) != len(whole):
            return False
        element = type_.list.element if type_.list else None
        return all(covers(one, other, element) for one, other in zip(whole, part, strict=True))
    return whole is not NOTHING and same(part, whole, type_)


def hollow(value: Any) -> bool:
    """Whether a value is one that built-in types do not store: null, false, 0, or empty."""
    return value is None or value is False or (value in (0, "") and value is not True) or value == {} or value == []
