"""JSON values as lines of YAML, for people and for line diffs: keys sorted, no anchors, no line folding."""

import json
import re
from typing import Any, Final

_FIRST: Final = ("apiVersion", "kind", "metadata", "name")
_PLAIN: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+-]+)*")
_ESCAPES: Final = {"\n": "\\n", "\t": "\\t"}
_RESERVED: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n", "~", ".nan", ".inf"})


def lines(value: Any) -> list[str]:
    """The lines of a value. Every string that YAML could take for something else is quoted."""
    return _block(value, "")


def _block(value: Any, indent: str) -> list[str]:
    if isinstance(value, dict) and value:
        found: list[str] = []
        for name in sorted(value, key=_order):
            found += _entry(f"{indent}{_scalar(name)}:", value[name], f"{indent}  ")
        return found
    if isinstance(value, list) and value:
        found = []
        for item in value:
            inner = _block(item, f"{indent}  ")
            found.append(f"{indent}- {inner[0].strip() if isinstance(item, dict | list) and item else _scalar(item)}")
            found += inner[1:] if isinstance(item, dict | list) and item else []
        return found
    return [f"{indent}{_scalar(value)}"]


def _entry(head: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, dict | list) and value:
        return [head, *_block(value, indent)]
    if isinstance(value, str) and "\n" in value and _literal(value):
        mark = "|" if value.endswith("\n") and not value.endswith("\n\n") else "|-" if value[-1] != "\n" else "|+"
        body = value[:-1] if value.endswith("\n") else value
        return [f"{head} {mark}", *(f"{indent}{line}" if line else "" for line in body.split("\n"))]
    return [f"{head} {_scalar(value)}"]


def _literal(text: str) -> bool:
    """Whether a text can stand as a block: printable, and its first line is not indented."""
    return not text.startswith((" ", "\n")) and all(char.isprintable() or char == "\n" for char in text)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value.lower() not in _RESERVED else _quoted(value)
    return json.dumps(value)


def _quoted(text: str) -> str:
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in ('"', "\\"):
        return f"\\{char}"
    if char.isprintable():
        return char
    return _ESCAPES.get(char) or (f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}")


def _order(name: str) -> tuple[int, str]:
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)
