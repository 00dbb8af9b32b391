"""What a route is: one row of the table from which routing, permissions, argument checks and OpenAPI are made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flask import Response


class Scope(StrEnum):
    """How the permission of a route is checked. There is no route without one."""

    APPLICATION = "application"
    """Path parameter `name` is an application: it is found, permitted and handed to the view as `row`."""
    WHOLE = "whole"
    """The action on everything (`*`), before the view runs."""
    LISTED = "listed"
    """The view shows what the user may see of each item, nothing if that is nothing."""
    NAMED = "named"
    """What is meant stands in the body or path in a form of its own: the view asks, before it does anything."""
    SIGNED_IN = "signed in"
    """Everybody who has signed in."""


@dataclass(frozen=True)
class Need:
    """The permission that a route wants."""

    resource: str
    action: str
    scope: Scope


@dataclass(frozen=True)
class Argument:
    """One query parameter. `kind` is string, integer or boolean; a `many` one may be given again and again."""

    name: str
    text: str
    kind: str = "string"
    choices: tuple[str, ...] = ()
    many: bool = False


Arguments = Mapping[str, Any]
"""Query parameters by name, converted; None (or an empty tuple for `many`) where nothing was given."""

View = Callable[..., Response]
"""Called with `asked: Arguments`, the path's parameters, and `row` for Scope.APPLICATION."""


@dataclass(frozen=True)
class Route:
    """One row. `path` is in OpenAPI's form; `body` and `answer` name schemas."""

    method: str
    path: str
    view: View
    summary: str
    need: Need
    asks: tuple[Argument, ...] = ()
    body: str = ""
    answer: str = "Empty"


LIMIT = Argument("limit", "How many items at most, 1 to 500; 100 if not given.", "integer")
CONTINUE = Argument("continue", "Where the page before ended: its `metadata.continue`.")
