"""Times for people: the UTC time in full, and how long ago that was. Filters of the templates."""

from datetime import UTC, datetime, timedelta

from flask import g
from markupsafe import Markup

_STEPS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def duration(length: timedelta | None) -> str:
    """`850 ms`, `12 s`, `3 min 20 s`, `5 h 2 min`, `12 d`; empty for None."""
    if length is None:
        return ""
    seconds = max(0.0, length.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    whole = int(seconds)
    for (name, size), (lower, below) in zip(_STEPS, (*_STEPS[1:], ("", 0)), strict=True):
        if whole >= size:
            rest = whole % size // below if below else 0
            exact = rest and whole < 10 * size
            return f"{whole // size} {name} {rest} {lower}" if exact else f"{whole // size} {name}"
    return "0 s"


def ago(at: datetime, now: datetime) -> str:
    """How long ago, in one unit: `12 s ago`, `3 min ago`; `in 5 min` for what is to come."""
    seconds = int((now - at).total_seconds())
    size, name = next(((size, name) for name, size in _STEPS if abs(seconds) >= size), (1, "s"))
    number = abs(seconds) // size
    if number == 0:
        return "now"
    return f"{number} {name} ago" if seconds > 0 else f"in {number} {name}"


def clock(at: datetime) -> str:
    """`2026-11-24 14:02:11 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def when(at: datetime | str | None, missing: str = "never") -> Markup:
    """A time as its age, with the full time as a tooltip; the script keeps the age right while the page is open."""
    found = _read(at)
    if found is None:
        return Markup('<span class="quiet">{}</span>').format(missing)
    stamp = found.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(stamp, clock(found), ago(found, page_time()))


def at_length(at: datetime | str | None, missing: str = "never") -> Markup:
    """A time in full, followed by its age."""
    found = _read(at)
    if found is None:
        return Markup('<span class="quiet">{}</span>').format(missing)
    return Markup('<span class="nowrap">{}</span> <span class="quiet">({})</span>').format(clock(found), when(found))


def page_time() -> datetime:
    """The time for which this page is made."""
    found: datetime = g.ui_now
    return found


def _read(at: datetime | str | None) -> datetime | None:
    """A time from a column, or from JSON in ISO 8601."""
    if isinstance(at, str):
        try:
            at = datetime.fromisoformat(at)
        except ValueError:
            return None
    if at is None:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
