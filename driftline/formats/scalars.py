"""What a plain YAML scalar means to Kubernetes: go-yaml v2's rules, which are YAML 1.1's without base 60.

Called by `formats.yaml`. `on`, `yes` and `y` are true, `017` is fifteen, `1e3` a thousand, `08` eight, and dates stay
text.
"""

import math
import re
import struct
from typing import Any

BAD_KEY: Any = object()
"""What `key_text` answers for a value that no JSON object can have as its key."""

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_FIRST = frozenset("+-0123456789.")
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|[1-9][0-9]*|0)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SEPARATOR = re.compile(r"(?<=[0-9])_(?=[0-9])")
_DIGIT_LIMIT = 400
"""Longer than any number that a double can hold without an exponent."""


def resolve(text: str) -> Any:
    """The value of a plain scalar: None, bool, int, float or the text itself.

    Integers fit 64 bits (signed or unsigned); larger ones become floats. `whole` says what becomes of `1e3` as a value.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _FIRST:
        return text
    if text[0] == ".":
        # Go reads these by its own syntax: an underscore stands between digits or makes it a text.
        found = _float(_SEPARATOR.sub("", text))
        return text if isinstance(found, str) else found
    plain = text.replace("_", "") if "_" in text else text
    if _INTEGER.fullmatch(plain):
        number = _integer(plain)
        if -(2**63) <= number < 2**63 or (number < 2**64 and plain[0] not in "+-"):
            return number
    found = _float(plain)
    return text if isinstance(found, str) else found


def _integer(plain: str) -> int:
    """The value of a literal with an optional sign and Go's prefixes; a leading zero means octal."""
    sign = -1 if plain[0] == "-" else 1
    digits = plain.lstrip("+-")
    if len(digits) > _DIGIT_LIMIT:
        return 2**64
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def _float(plain: str) -> float | str:
    """The number, or the same string if it is none or out of range."""
    if not _FLOAT.fullmatch(plain):
        return plain
    number = float(plain)
    if math.isinf(number):
        return plain
    return number


def whole(number: float) -> int | float:
    """A float as it is after a trip through Go's JSON to the API server: an integer if it is a whole number."""
    return int(number) if number.is_integer() and -(2**63) < number < 2**64 else number


def key_text(value: Any) -> Any:
    """A resolved value as a key of a JSON object, or `BAD_KEY`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value < 2**63 else BAD_KEY
    if isinstance(value, float):
        return _float_text(value)
    return BAD_KEY


def _float_text(value: float) -> str:
    """Go's `FormatFloat(value, 'g', -1, 32)`: the shortest digits that give the same 32-bit float."""
    if math.isnan(value):
        return ".nan"
    try:
        single = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        single = math.copysign(math.inf, value)
    if math.isinf(single):
        return ".inf" if single > 0 else "-.inf"
    for precision in range(9):
        text = f"{single:.{precision}e}"
        if struct.unpack("f", struct.pack("f", float(text)))[0] == single:
            break
    mantissa, _, exponent = text.partition("e")
    power = int(exponent)
    if power < -4 or power >= 6:
        return f"{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    digits = mantissa.replace(".", "").lstrip("-")
    return f"{single:.{max(0, len(digits) - 1 - power)}f}"
