"""Durations as Go writes them (`1h30m`, `500ms`), with Argo CD's reading of a bare number as seconds."""

import re
from datetime import timedelta

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = r"(?:[0-9]{1,12}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(?:ns|us|µs|μs|ms|s|m|h)"
_WHOLE = re.compile(rf"[-+]?(?:{_PART})+")
_ONE = re.compile(r"([0-9]*\.?[0-9]*)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST = 10 * 365 * 24 * 3600.0


def duration(text: str) -> timedelta:
    """The duration that `text` names: Go's form, or digits alone for seconds. Raises ValueError for anything else.

    More than ten years is refused: no such wait is meant, and sums with it overflow.
    """
    if text.isascii() and text.isdecimal() and len(text) < 12:
        seconds = float(text)
    elif len(text) < 64 and _WHOLE.fullmatch(text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _ONE.findall(text))
        seconds = -seconds if text.startswith("-") else seconds
    else:
        raise ValueError(f"{text[:40]!r} is no duration: write it like 30s, 5m or 1h30m")
    if abs(seconds) > _LONGEST:
        raise ValueError(f"{text[:40]!r} is longer than ten years")
    return timedelta(seconds=seconds)
