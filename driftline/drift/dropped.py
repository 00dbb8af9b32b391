"""Fields that we applied once and that Git no longer sets, as far as live still has them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from driftline.drift.authors import Authors
from driftline.drift.context import Context
from driftline.drift.fields import FieldSet, fields_of, owned_by
from driftline.drift.paths import NOTHING, Path, locate
from driftline.drift.schema import DEDUCED, Type
from driftline.drift.values import same
from driftline.drift.walk import Difference

HANDOVER_MANAGER: Final = "driftline-handover"
"""Field manager that holds `replicas` while an autoscaler takes over."""

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Dropped:
    """What becomes of dropped fields: an apply removes or changes `going`; `staying` takes a patch of our own."""

    going: tuple[Difference, ...] = ()
    staying: tuple[Difference, ...] = ()


def once_applied(live: Body, context: Context) -> FieldSet:
    """Everything that our last apply had, by our own record and by the API server's."""
    applied = context.applied or FieldSet()
    owned = owned_by(live, context.manager)
    return applied.union(owned[0]) if owned else applied


def still_there(live: Body, once: FieldSet, claimed: FieldSet, type_: Type | None) -> Iterator[Difference]:
    """Each topmost field of `once` that `claimed` lost and live has."""
    lost = once.difference(claimed)
    reported: list[Path] = []
    for path in lost.members():
        if claimed.touches(path) or claimed.covers(path) or any(path[: len(top)] == top for top in reported):
            continue
        found = locate(live, path, type_)
        if found is None or found[1] is None or not _whole(path, found[1], lost, type_):
            continue
        reported.append(path)
        yield Difference(path, NOTHING, found[1])


def sort_out(live: Body, predicted: Body, once: FieldSet, claimed: FieldSet, context: Context) -> Dropped:
    """Tell dropped fields that an apply takes away from those that stay because somebody else holds them."""
    owned = owned_by(live, context.manager)
    authors = Authors(live, context.manager)
    going, staying = [], []
    for each in still_there(live, once, claimed, context.type):
        then = locate(predicted, each.path, context.type)
        if then is None or not same(each.live, then[1], type_at(context.type, each.path)):
            going.append(each)
        elif not _comes_back(each, owned[0] if owned else FieldSet(), authors, context.type):
            staying.append(each)
    return Dropped(tuple(going), tuple(staying))


def type_at(type_: Type | None, path: Path) -> Type:
    """The type of the value at a path; what the schema does not describe is deduced."""
    found = type_ or DEDUCED
    for element in path:
        if element.startswith("f:"):
            found = (found.map.child(element[2:]) if found.map else None) or DEDUCED
        else:
            found = found.list.element if found.list else DEDUCED
    return found


def default_at(type_: Type | None, path: Path) -> Any:
    """The default that the schema states for a field; None if it states none."""
    above = type_at(type_, path[:-1])
    return above.map.default(path[-1][2:]) if above.map and path[-1].startswith("f:") else None


def _comes_back(each: Difference, owned: FieldSet, authors: Authors, type_: Type | None) -> bool:
    """Whether a fresh object made from Git would hold the same value, or somebody was given charge of it."""
    default = default_at(type_, each.path)
    if default is not None and default != {} and same(each.live, default, type_at(type_, each.path)):
        return True
    holders = authors.others(each.path)
    if any(holder.manager == HANDOVER_MANAGER or holder.subresource == "scale" for holder in holders):
        return True
    # Ours alone, yet it survived the apply: the API server put it there again by itself.
    return not holders and owned.touches(each.path)


def _whole(path: Path, value: Any, lost: FieldSet, type_: Type | None) -> bool:
    """Whether the value goes with its path; a map that holds more than Git ever set is looked at key by key."""
    if not path[-1].startswith("f:") or not isinstance(value, dict) or not value:
        return True
    at = type_at(type_, path)
    if at.map is None or at.map.atomic:
        return True
    inside = fields_of(value, at)
    return all(lost.covers((*path, *member)) or lost.has((*path, *member)) for member in inside.leaves())
