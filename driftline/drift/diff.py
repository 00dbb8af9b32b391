"""Two objects side by side: every field that differs, and a text diff for command line and UI.

The objects are masked before they come here; nothing in this module knows which values are secret.
"""

import difflib
from collections.abc import Iterator
from typing import Any, Final

from driftline.drift.lines import lines
from driftline.drift.paths import NOTHING, Path
from driftline.drift.report import fields
from driftline.drift.schema import DEDUCED, ListType, Type
from driftline.drift.values import same
from driftline.drift.walk import Body, Difference, content
from driftline.model.drift import FieldDrift
from driftline.model.objects import Object

_HIDDEN: Final = frozenset(
    {
        *("managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"),
        *("deletionTimestamp", "deletionGracePeriodSeconds"),
    }
)


def field_diff(before: Object | None, after: Object | None, type_: Type | None = None) -> tuple[FieldDrift, ...]:
    """Every field that differs: `desired` holds the value after, `live` the one before. Status is left out."""
    return fields(changes(after or {}, before or {}, type_))


def text_diff(before: Object | None, after: Object | None, name: str) -> str:
    """A unified diff in YAML's form, from `before` to `after`; empty if they show the same. None: no such object."""
    old, new = _text(before), _text(after)
    titles = (f"{name} (live)" if before else "/dev/null", f"{name} (Git)" if after else "/dev/null")
    return "".join(f"{line}\n" for line in difflib.unified_diff(old, new, *titles, lineterm=""))


def changes(desired: Body, live: Body, type_: Type | None) -> Iterator[Difference]:
    """Every place where two objects differ, in both directions; lists that the schema pairs are paired by key."""
    return _changes(content(desired), content(live), type_ or DEDUCED, ())


def _changes(desired: Any, live: Any, type_: Type, path: Path) -> Iterator[Difference]:
    if isinstance(desired, dict) and isinstance(live, dict) and type_.map is not None and not type_.map.atomic:
        for name in (*desired, *(name for name in live if name not in desired)):
            child = type_.map.child(name) or DEDUCED
            yield from _changes(desired.get(name, NOTHING), live.get(name, NOTHING), child, (*path, f"f:{name}"))
    elif isinstance(desired, list) and isinstance(live, list) and type_.list is not None and not type_.list.atomic:
        yield from _items(desired, live, type_.list, path)
    elif desired is NOTHING or live is NOTHING:
        if desired is not live:
            yield Difference(path, desired, live)
    elif not same(desired, live, type_):
        yield Difference(path, desired, live)


def _items(desired: list[Any], live: list[Any], type_: ListType, path: Path) -> Iterator[Difference]:
    wanted = {type_.key_of(item): item for item in desired}
    found = {type_.key_of(item): item for item in live}
    if None in wanted or None in found or len(wanted) < len(desired) or len(found) < len(live):
        if not same(desired, live):
            yield Difference(path, desired, live)
        return
    for key in (*wanted, *(key for key in found if key not in wanted)):
        yield from _changes(wanted.get(key, NOTHING), found.get(key, NOTHING), type_.element, (*path, str(key)))
    if [key for key in wanted if key in found] != [key for key in found if key in wanted]:
        yield Difference(path, desired, live)


def _text(body: Object | None) -> list[str]:
    if body is None:
        return []
    shown = {name: value for name, value in body.items() if name != "status"}
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        shown["metadata"] = {name: value for name, value in metadata.items() if name not in _HIDDEN}
    return lines(shown)
