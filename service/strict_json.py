"""Read JSON that strangers sent: bounded, unambiguous, in linear time. Called by webhooks and the API."""

import re
from typing import Any

import orjson

MAX_DEPTH = 64
"""Levels of nesting. Git hosts use fewer than ten."""

MAX_VALUES = 1_000_000
"""Upper bound on commas and opening brackets, so that 25 MB of `[],[],` cannot become gigabytes of lists."""

_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class Malformed(Exception):
    """The sender's document cannot be understood. `str()` is a fixed text that holds nothing of the document."""


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, which is UTF-8.

    Raises Malformed for what is no JSON (NaN, Infinity, lone surrogates, numbers beyond a double, a byte order mark
    included), a key named twice, nesting over MAX_DEPTH, more than MAX_VALUES values, and a root that is no object.
    """
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_VALUES:
        raise Malformed(f"the body has more than {MAX_VALUES} values")
    try:
        # orjson refuses NaN, Infinity, lone surrogates and invalid UTF-8 by itself and never overflows the stack.
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed("the body is not valid JSON") from None
    if not isinstance(value, dict):
        raise Malformed("the body is not a JSON object")
    # A parser keeps one of two equal keys, so the text then has more colons than the value has keys. Counting keeps
    # the fast parser: a hook per object would cost ten times as much.
    if _STRINGS.sub(b"", body).count(b":") != _keys_within_depth(value):
        raise Malformed("the body names a key twice")
    return value


def _keys_within_depth(root: dict[str, Any]) -> int:
    """How many keys all objects have together, level by level. Raises Malformed below MAX_DEPTH levels."""
    keys, depth = 0, 0
    level: list[Any] = [root]
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise Malformed(f"the body nests deeper than {MAX_DEPTH} levels")
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                keys += len(node)
                below.extend(value for value in node.values() if isinstance(value, dict | list))
            else:
                below.extend(value for value in node if isinstance(value, dict | list))
        level = below
    return keys
