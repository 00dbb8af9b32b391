"""What each Git host module provides, and the words they share. Used by service.webhooks through the table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from driftline.model.push import Push
from service.strict_json import Malformed

__all__ = ["JSON", "Headers", "Host", "Malformed", "Secret"]

Headers = Mapping[str, str]
"""Request headers: lower-case names, values as WSGI gives them (bytes read as Latin-1)."""

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Secret:
    """What a host and we both know. For Azure DevOps `user:password`."""

    value: str = field(repr=False)

    @property
    def key(self) -> bytes:
        return self.value.encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class Host:
    """One Git host.

    `matches(headers)` recognises its deliveries; `authentic(headers, body, secret)` checks the sender in constant time
    and never raises; `parse(headers, payload)` reads a delivery and raises only Malformed.
    """

    name: str
    matches: Callable[[Headers], bool]
    authentic: Callable[[Headers, bytes, Secret], bool]
    parse: Callable[[Headers, dict[str, Any]], Push]
    content_types: frozenset[str] = frozenset({JSON})
