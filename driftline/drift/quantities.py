"""Kubernetes' own spellings of one value: quantities, times and base64. Used only where the schema names the type."""

import base64
import binascii
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

_SUFFIXES: Final = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    **{suffix: Fraction(1000) ** power for power, suffix in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{suffix: Fraction(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}
_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?P<suffix>[eE][+-]?[0-9]{1,3}|[numkMGTPE]|[KMGTPE]i)?"
)
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)")
_NANO: Final = 10**9
_LARGEST: Final = 2**63 - 1


def normal(kind: str, value: Any) -> Any:
    """A spelling-independent form of a scalar; `kind` is a `Type.normal`. What cannot be read stays as it is."""
    if kind == "quantity" and isinstance(value, str | int | float) and not isinstance(value, bool):
        return _quantity(value if isinstance(value, str) else repr(value))
    if isinstance(value, str) and kind in ("time", "microtime"):
        return _time(value, kind == "microtime")
    if isinstance(value, str) and kind == "byte":
        return _bytes(value)
    return value


@lru_cache(maxsize=4096)
def _quantity(text: str) -> Fraction | str:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return text
    suffix = match["suffix"] or ""
    scale = _SUFFIXES.get(suffix)
    if scale is None:
        scale = Fraction(10) ** int(suffix[1:])
    try:
        number = Fraction(Decimal(match["number"])) * scale
    except InvalidOperation:
        return text
    # The API server rounds away from zero to a billionth. What it cannot hold it caps: left to a dry run.
    nano = -((-abs(number) * _NANO) // 1)
    if abs(number) > _LARGEST:
        return text
    return Fraction(int(nano), _NANO) * (-1 if number < 0 else 1)


@lru_cache(maxsize=1024)
def _time(text: str, micro: bool) -> datetime | str:
    match = _TIME.fullmatch(text)
    if match is None:
        return text
    day, clock, fraction, zone = match.groups()
    digits = (fraction or "").ljust(6, "0")[:6] if micro else "000000"
    try:
        return datetime.fromisoformat(
            f"{day}T{clock}.{digits}{zone.replace('Z', '+00:00').replace('z', '+00:00')}"
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return text


def _bytes(text: str) -> bytes | str:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        return text
