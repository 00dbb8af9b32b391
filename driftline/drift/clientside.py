"""Objects that server-side apply cannot carry: compared at what Git sets, and updated three ways as kubectl once did.

A list may hold the same merge key twice (a container's ports over TCP and UDP spelled alike), or an API may have no
apply at all. Then Git's object, what we wrote last and the live object make the next one, which is PUT as a whole.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from driftline.drift.authors import Authors
from driftline.drift.context import Context
from driftline.drift.dropped import still_there
from driftline.drift.fields import Claims, FieldSet, claims_of, entries_of
from driftline.drift.ignore import sift
from driftline.drift.paths import NOTHING, Path
from driftline.drift.report import fields, names
from driftline.drift.schema import DEDUCED, ListType, Type
from driftline.drift.standing import standing
from driftline.drift.walk import Difference, Walk, content
from driftline.model.drift import Verdict, VerdictState
from driftline.model.objects import Object, key_of

NOTE = "client-side"
"""How plans and results say that an object is not applied server-side."""

CLIENT_MANAGER = "driftline-client-side"
"""The field manager of such writes; an Apply entry of ours would hold what they do not change."""


def why_client_side(desired: Object, type_: Type | None) -> str:
    """Why an object cannot be applied server-side, in words, or empty. Looks closely only at lists that repeat."""
    found = claims_of(desired, type_).duplicates if repeats(desired) else ()
    return f"{NOTE}: {names(found)} given twice" if found else ""


def compare_client_side(
    desired: Object, live: Object | None, context: Context, claims: Claims | None = None
) -> Verdict:
    """The verdict on an object that is not applied: the values that Git sets, and what we wrote and Git has dropped.

    Nobody's ownership is compared, and what the schema does not know counts for nothing: the API server drops it.
    """
    fixed = standing(desired, live, context)
    if fixed is not None and (live is None or fixed.state is not VerdictState.UNMARKED):
        return fixed
    assert live is not None
    claims = claims or claims_of(desired, context.type)
    sifted = sift(desired, live, None, context)
    walk = _Placed(two_way=True)
    apart = walk.value(content(sifted.desired), content(sifted.live), NOTHING, context.type or DEDUCED, ())
    found = [each for each in apart if not any(each.path[: len(path)] == path for path in claims.unknown)]
    found += still_there(live, sifted.fields(context.applied or FieldSet()), sifted.fields(claims.fields), context)
    shown = fields(found, Authors(live, CLIENT_MANAGER)) if found else ()
    if fixed is not None:
        return Verdict(fixed.key, fixed.state, shown, fixed.reason)
    if shown:
        return Verdict(key_of(desired), VerdictState.DRIFTED, shown, NOTE)
    return Verdict(key_of(desired), VerdictState.SYNCED)


def merged(desired: Object, live: Object, applied: FieldSet, type_: Type | None) -> Object:
    """The object to PUT: live, with what Git sets, without what we wrote last (`applied`) and Git has dropped.

    It carries live's resourceVersion, so that it is refused if live has changed, and no Apply entry of ours.
    """
    body: Object = _merge(desired, live, applied.tree, type_ or DEDUCED)
    entries = [each for each in live["metadata"].get("managedFields") or () if not _ours(each)]
    # An empty list would be taken for "as it was"; one empty entry clears it.
    body["metadata"]["managedFields"] = entries or [{}]
    return body


def put_before(live: Object | None) -> bool:
    """Whether a live object carries what we wrote as a whole."""
    return any(each.get("manager") == CLIENT_MANAGER for each in entries_of(live or {}))


def _ours(entry: Mapping[str, Any]) -> bool:
    return entry.get("manager") == "driftline" and entry.get("operation") == "Apply" and not entry.get("subresource")


def _merge(desired: Any, live: Any, once: Mapping[str, Any], type_: Type) -> Any:
    if isinstance(desired, dict) and isinstance(live, dict) and not (type_.map is not None and type_.map.atomic):
        kept = {name: value for name, value in _without_dropped(desired, live, once).items() if name not in desired}
        for name, value in desired.items():
            child = (type_.map.child(name) if type_.map else None) or DEDUCED
            if value is not None:
                kept[name] = _merge(value, live.get(name), once.get(f"f:{name}", {}), child)
        return kept
    if isinstance(desired, list) and isinstance(live, list) and type_.list is not None and not type_.list.atomic:
        return _merge_items(desired, live, once, type_.list)
    return desired


def _without_dropped(desired: Mapping[str, Any], live: Mapping[str, Any], once: Mapping[str, Any]) -> dict[str, Any]:
    """Live without the fields that we set once and that Git no longer sets; of a map only the part that was ours."""
    kept: dict[str, Any] = {}
    for name, value in live.items():
        node = once.get(f"f:{name}")
        if name in desired or node is None:
            kept[name] = value
        elif isinstance(value, dict) and any(element.startswith("f:") for element in node):
            rest = _without_dropped({}, value, node)
            if rest:
                kept[name] = rest
    return kept


def _merge_items(desired: list[Any], live: list[Any], once: Mapping[str, Any], type_: ListType) -> list[Any]:
    wanted, found = [type_.key_of(item) for item in desired], [type_.key_of(item) for item in live]
    if wanted == found:
        # The same items at the same places, repeated or not: what the server filled in stays.
        pairs = zip(wanted, desired, live, strict=True)
        return [_merge(item, there, once.get(key or "", {}), type_.element) for key, item, there in pairs]
    if len(set(wanted)) < len(wanted) or len(set(found)) < len(found):
        return desired
    there = dict(zip(found, live, strict=True))
    made = [
        _merge(item, there.get(key), once.get(key or "", {}), type_.element)
        for key, item in zip(wanted, desired, strict=True)
    ]
    return made + [item for key, item in there.items() if key not in wanted and key not in once]


class _Placed(Walk):
    """Compares repeated items by their places, and takes null for absent."""

    def value(self, desired: Any, live: Any, predicted: Any, type_: Type, path: Path) -> Iterator[Difference]:
        if desired is None and live is NOTHING:
            return
        yield from super().value(desired, live, predicted, type_, path)

    def items(
        self, desired: list[Any], live: list[Any], predicted: Any, type_: ListType, path: Path
    ) -> Iterator[Difference]:
        keys = [type_.key_of(item) for item in desired]
        if len(set(keys)) == len(keys):
            yield from super().items(desired, live, predicted, type_, path)
        elif keys != [type_.key_of(item) for item in live]:
            yield Difference(path, desired, live)
        else:
            for place, (item, there) in enumerate(zip(desired, live, strict=True)):
                yield from self.value(item, there, NOTHING, type_.element, (*path, f"i:{place}"))


def repeats(value: Any) -> bool:
    """Whether some list below holds two objects with a value in common: only these can have the same key."""
    if isinstance(value, dict):
        return any(repeats(inner) for inner in value.values() if isinstance(inner, dict | list))
    objects = [item for item in value if isinstance(item, dict)]
    pairs = [(name, inner) for item in objects for name, inner in item.items() if isinstance(inner, str | int)]
    return len(set(pairs)) < len(pairs) or any(repeats(item) for item in objects)
