"""How long a server asks its clients to wait."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta:
    """The wait that a server asks for, in seconds or as a date; 10 s if it names none, a day at most.

    `headers` has lower-case names. Source: RFC 9110, 10.2.3.
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdecimal():
        return timedelta(seconds=min(int(asked[:9]), 86400))
    try:
        wait = parsedate_to_datetime(asked) - now
    except (ValueError, TypeError):
        return timedelta(seconds=10)
    return min(max(wait, timedelta(seconds=1)), timedelta(days=1))
