"""Read payloads that may hold anything anywhere: what has the wrong type counts as missing. Used by every host."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from driftline.model.digests import digest
from driftline.model.push import Push, RefAction, RefChange
from service.providers.host import Malformed

_CONTROL = re.compile("[\x00-\x1f\x7f]")
_OBJECT_ID = re.compile("[0-9a-fA-F]{40}(?:[0-9a-fA-F]{24})?")
_NAMESPACES = ("refs/heads/", "refs/tags/")
MAX_CHANGES = 1000
"""Refs of one push that are looked at; what is beyond them is found by the periodic fetch."""


def text(value: object, limit: int = 1024) -> str:
    """`value` if it is a string without control characters of at most `limit` characters, else empty.

    Control characters never occur in refs, names or URLs, and a database refuses NUL.
    """
    if not isinstance(value, str) or len(value) > limit or _CONTROL.search(value):
        return ""
    return value


def at(value: object, *path: str) -> Any:
    """What stands at `path` inside nested objects; None where any part of the way is missing or no object."""
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def items(value: object) -> list[Any]:
    """`value` if it is a list, else an empty list."""
    return value if isinstance(value, list) else []


def object_id(value: object) -> str:
    """A commit or tag id in lower case; empty for anything else and for the all-zero id that means 'nothing'."""
    found = text(value, 64)
    return found.lower() if _OBJECT_ID.fullmatch(found) and found.strip("0") else ""


def is_zero(value: object) -> bool:
    """Whether a host says 'nothing was here' or 'nothing is left' by an id of zeros."""
    found = text(value, 64)
    return len(found) in (40, 64) and not found.strip("0")


def full_ref(name: object, kind: object = None) -> str:
    """A full ref from a full one, or from a short name and `branch` or `tag`. Empty for anything else."""
    found = text(name)
    if not found.startswith("refs/"):
        found = {"branch": "refs/heads/", "tag": "refs/tags/"}.get(text(kind), "") + found
    return found if found.startswith(_NAMESPACES) and not found.endswith("/") else ""


def change(ref: str, before: object, after: object, forced: object = None) -> RefChange | None:
    """One ref's change, told from the ids before and after it. None without a ref that we follow."""
    if not ref:
        return None
    if is_zero(after):
        return RefChange(ref, RefAction.DELETED)
    if is_zero(before):
        return RefChange(ref, RefAction.CREATED, object_id(after))
    return RefChange(ref, RefAction.FORCED if forced is True else RefAction.UPDATED, object_id(after))


def urls(*candidates: object) -> tuple[str, ...]:
    """The candidates that can be a repository's URL, each once, in order."""
    found = (text(candidate, 2048).strip() for candidate in candidates)
    return tuple(dict.fromkeys(url for url in found if url and " " not in url))


def delivery(given: object, payload: Mapping[str, Any]) -> str:
    """The host's id of a delivery; where it has none, a digest of the content, equal for a redelivery."""
    return text(given, 200) or digest(payload)


def ignored(provider: str, event: str, delivery_id: str, reason: str) -> Push:
    """A delivery that is accepted and asks nothing of us."""
    return Push(provider, event, delivery_id, ignored=reason)


def followed(refs: Iterable[RefChange | None], given: int) -> tuple[RefChange, ...]:
    """The changes that could be read, of `given` entries. Raises Malformed if there were some and none could be."""
    changes = tuple(found for found in refs if found is not None)
    if given and not changes:
        raise Malformed("the push names no ref that can be read")
    return changes


def required_urls(found: tuple[str, ...]) -> tuple[str, ...]:
    """`found`, or Malformed: without a URL nobody can say which repository changed."""
    if not found:
        raise Malformed("the push names no repository URL")
    return found


def other_ref(ref: object) -> bool:
    """Whether this is a well-formed ref outside branches and tags (notes, pull requests): nothing to do for it."""
    found = text(ref)
    return found.startswith("refs/") and not found.startswith(_NAMESPACES)


def nothing_followed(refs: list[object]) -> str:
    """Why a push of these refs asks nothing of us; empty if it does."""
    if not refs:
        return "the push names no refs"
    return "the push names no branches or tags" if all(other_ref(ref) for ref in refs) else ""
