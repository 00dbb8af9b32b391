"""Where objects differ, walked along the desired one: only what Git sets is looked at. Called by the comparisons."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from driftline.drift.paths import NOTHING, Path
from driftline.drift.schema import DEDUCED, ListType, Type
from driftline.drift.values import covers, same

Body = Mapping[str, Any]

NOT_CONTENT: Final = frozenset({"apiVersion", "kind", "status"})
SERVERS_METADATA: Final = frozenset(
    {
        *("name", "namespace", "generateName", "uid", "resourceVersion", "generation", "creationTimestamp"),
        *("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"),
    }
)
"""Metadata that names the object or is the API server's own."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where live is not what it should be. Absent values are `NOTHING`."""

    path: Path
    desired: Any
    live: Any

    @property
    def kind(self) -> str:
        return "removed" if self.live is NOTHING else "added" if self.desired is NOTHING else "changed"


def content(body: Body) -> dict[str, Any]:
    """The part of an object that Git can set."""
    found = {name: value for name, value in body.items() if name not in NOT_CONTENT}
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        found["metadata"] = {name: value for name, value in metadata.items() if name not in SERVERS_METADATA}
    return found


def differences(desired: Body, live: Body, type_: Type | None) -> Iterator[Difference]:
    """Every place that `desired` sets and where `live` is not the same: the rule of the local comparison."""
    # Live against itself as prediction: then a difference is where desired and live are apart.
    return Walk(two_way=True).value(content(desired), content(live), NOTHING, type_ or DEDUCED, ())


def moved(desired: Body, live: Body, predicted: Body, type_: Type | None) -> Iterator[Difference]:
    """Every place that `desired` sets and where an apply would change `live` into `predicted`."""
    return Walk(two_way=False).value(content(desired), content(live), content(predicted), type_ or DEDUCED, ())


def overridden(desired: Body, predicted: Body, type_: Type | None) -> Iterator[Path]:
    """Every place where what an apply stores is not what Git sets, beyond defaults and other spellings."""
    return (each.path for each in _overridden(content(desired), content(predicted), type_ or DEDUCED, ()))


class Walk:
    """One pass. Two-way compares desired with live; three-way live with predicted, where desired sets something."""

    def __init__(self, two_way: bool) -> None:
        self._two_way = two_way

    def value(self, desired: Any, live: Any, predicted: Any, type_: Type, path: Path) -> Iterator[Difference]:
        goal = desired if self._two_way else predicted
        if isinstance(desired, dict) and type_.map is not None and not type_.map.atomic:
            if isinstance(live, dict) and isinstance(goal, dict):
                for name, inner in desired.items():
                    child = type_.map.child(name) or DEDUCED
                    expected = NOTHING if self._two_way else _get(predicted, name)
                    yield from self.value(inner, _get(live, name), expected, child, (*path, f"f:{name}"))
                return
        elif type_.list is not None and not type_.list.atomic and _lists(desired, live, goal):
            yield from self.items(desired, live, predicted, type_.list, path)
            return
        if not _equal(goal, live, type_):
            yield Difference(path, desired, live)

    def items(
        self, desired: list[Any], live: list[Any], predicted: Any, type_: ListType, path: Path
    ) -> Iterator[Difference]:
        wanted = [type_.key_of(item) for item in desired]
        found = [type_.key_of(item) for item in live]
        goal = wanted if self._two_way else [type_.key_of(item) for item in predicted]
        by_key = _index(found, live)
        expected = _index(goal, predicted) if not self._two_way else {}
        for key, item in zip(wanted, desired, strict=True):
            if key is not None:
                there, then = by_key.get(key, NOTHING), expected.get(key, NOTHING)
                yield from self.value(item, there, then, type_.element, (*path, key))
        # Duplicates in live count as disorder, too: an apply folds them together.
        ours = set(wanted)
        order, good = [key for key in found if key in ours], [key for key in goal if key in ours]
        if [key for key in order if key in good] != [key for key in good if key in by_key]:
            yield Difference(path, _names(good), _names(order))


def _overridden(desired: Any, predicted: Any, type_: Type, path: Path) -> Iterator[Difference]:
    if isinstance(desired, dict) and isinstance(predicted, dict) and type_.map is not None and not type_.map.atomic:
        for name, inner in desired.items():
            child = type_.map.child(name) or DEDUCED
            yield from _overridden(inner, _get(predicted, name), child, (*path, f"f:{name}"))
    elif isinstance(desired, list) and isinstance(predicted, list) and type_.list is not None and not type_.list.atomic:
        there = _index([type_.list.key_of(item) for item in predicted], predicted)
        for item in desired:
            key = type_.list.key_of(item)
            if key is not None:
                yield from _overridden(item, there.get(key, NOTHING), type_.list.element, (*path, key))
    elif desired is not None and not covers(predicted, desired, type_):
        yield Difference(path, desired, predicted)


def _equal(goal: Any, live: Any, type_: Type) -> bool:
    if goal is NOTHING or live is NOTHING:
        return goal is live or _no_claim(live if goal is NOTHING else goal, type_)
    return same(goal, live, type_)


def _no_claim(value: Any, type_: Type) -> bool:
    """Whether this value and its absence are one to the API server: built-in types store no empty maps and lists."""
    if not type_.built_in:
        return False
    return value == [] or (value == {} and type_.map is not None and not type_.map.struct)


def _lists(*values: Any) -> bool:
    return all(isinstance(value, list) for value in values)


def _get(body: Any, name: str) -> Any:
    value = body.get(name) if isinstance(body, dict) else None
    return NOTHING if value is None else value


def _index(keys: list[str | None], items: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in zip(keys, items, strict=True):
        if key is not None:
            found.setdefault(key, item)
    return found


def _names(keys: list[str | None]) -> list[Any]:
    """Keys of list items as people write them: the value of a single key field, else all of them."""
    names: list[Any] = []
    for key in keys:
        content = orjson.loads(key[2:]) if key else None
        names.append(next(iter(content.values())) if isinstance(content, dict) and len(content) == 1 else content)
    return names
