"""What of a live object concerns us, as one digest. Called for each object of a LIST and each event of a watch.

An object that we applied carries our field manager's entry: exactly the fields that Git sets. If that entry and the
values at its paths are what they were when the object was found in sync, it still is, whatever controllers and other
managers write elsewhere (a Deployment's revision annotation, a Service's clusterIP, status). So that digest, not the
resourceVersion, says whether an object must be compared again.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from driftline.model.digests import digest_bytes
from driftline.model.marks import MANAGER
from driftline.model.objects import Object

MISSING = "\u2205"
"""Stands for a path of our entry that live no longer has."""


def our_entry(live: Mapping[str, Any], manager: str = MANAGER) -> Mapping[str, Any] | None:
    """The managedFields entry of our Apply, without subresource; None if someone wiped it or we never applied."""
    entries = (live.get("metadata") or {}).get("managedFields")
    for entry in entries if isinstance(entries, list) else ():
        if (
            isinstance(entry, dict)
            and entry.get("manager") == manager
            and entry.get("operation") == "Apply"
            and not entry.get("subresource")
            and isinstance(entry.get("fieldsV1"), dict)
        ):
            return entry
    return None


def owned_digest(live: Object, manager: str = MANAGER) -> str:
    """32 hex digits of what we own of a live object: uid, deletion, our entry, and the values at its paths.

    The order of the items of keyed lists and sets counts, as the API server keeps it. Without an entry of ours the
    whole object counts, but for status and what every write changes.
    """
    metadata = live.get("metadata") or {}
    entry = our_entry(live, manager)
    head = [metadata.get("uid"), "deletionTimestamp" in metadata]
    if entry is None:
        content = {name: value for name, value in live.items() if name not in ("status", "metadata")}
        kept = {k: v for k, v in metadata.items() if k not in ("managedFields", "resourceVersion", "generation")}
        return digest_bytes(orjson.dumps([*head, kept, content], option=orjson.OPT_SORT_KEYS))
    fields = entry["fieldsV1"]
    values = _project(live, fields)
    return digest_bytes(orjson.dumps([*head, entry.get("apiVersion"), fields, values], option=orjson.OPT_SORT_KEYS))


def _project(value: Any, fields: Mapping[str, Any]) -> Any:
    """The parts of `value` that a fieldsV1 node names; the node's leaves name whole values."""
    if not fields:
        return value
    if isinstance(value, dict):
        found = {}
        for name, inner in fields.items():
            if name != ".":
                part = value.get(name[2:], MISSING)
                # Most nodes are leaves: a call for each of them would be half of what a check of a cluster costs.
                found[name] = _project(part, inner) if inner and part is not MISSING else part
        return found
    if isinstance(value, list):
        return _project_list(value, fields)
    return value


def _project_list(items: Sequence[Any], fields: Mapping[str, Any]) -> list[Any]:
    """The named items of a keyed list or set, in live's order; then the names of those that are gone."""
    found: list[tuple[int, Any]] = []
    gone: list[str] = []
    for name, inner in fields.items():
        if name == ".":
            continue
        wanted = _selector(name)
        place = next((n for n, item in enumerate(items) if _matches(item, name[0], wanted)), None)
        if place is None:
            gone.append(name)
        else:
            found.append((place, [name, _project(items[place], inner)]))
    found.sort(key=lambda pair: pair[0])
    return [pair[1] for pair in found] + sorted(gone)


@lru_cache(maxsize=10_000)
def _selector(name: str) -> Any:
    """The key fields of `k:{...}`, the value of `v:...`, the position of `i:...`."""
    try:
        return orjson.loads(name[2:])
    except orjson.JSONDecodeError:
        return name[2:]


def _matches(item: Any, form: str, wanted: Any) -> bool:
    if form == "k" and isinstance(wanted, dict):
        return isinstance(item, dict) and all(item.get(key) == value for key, value in wanted.items())
    return bool(item == wanted)
