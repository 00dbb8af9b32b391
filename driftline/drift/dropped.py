"""Fields that we applied once and that Git no longer sets, as far as live still has them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from driftline.drift.authors import Authors
from driftline.drift.context import Context
from driftline.drift.fields import FieldSet, owned_by
from driftline.drift.fieldtrees import SELF, Tree
from driftline.drift.paths import NOTHING, Path, locate
from driftline.drift.schema import DEDUCED, Type
from driftline.drift.values import same
from driftline.drift.walk import Difference

HANDOVER_MANAGER: Final = "driftline-handover"
"""Field manager that holds `replicas` while an autoscaler takes over."""

BEFORE_FIRST_APPLY: Final = "before-first-apply"
"""Holds everything, defaults too, of an object whose managers were wiped: nobody in particular."""

ALIASES: Final = {"f:serviceAccountName": "f:serviceAccount"}
"""Fields that the API server fills again from an older name of theirs, so that only both can go."""

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


def remember(live: Body | None, answer: Body, context: Context) -> FieldSet:
    """The field set to store after an apply, as the next `Context.applied`: what it had, and what it left behind.

    `live` is the object before, None if it was created; `answer` is the API server's, the object after. What Git
    dropped and somebody else still holds stays remembered until it is gone.
    """
    owned = owned_by(answer, context.manager)
    claimed = owned[0] if owned else FieldSet()
    if live is None:
        return claimed
    once = once_applied(live, context)
    behind = [each.path for each in sort_out(live, answer, once, claimed, context).staying]
    kept = (path for path in once.members() if any(path[: len(top)] == top for top in behind))
    return claimed.union(FieldSet.of(*kept))


def still_there(live: Body, once: FieldSet, claimed: FieldSet, context: Context) -> Iterator[Difference]:
    """Each topmost field of `once` that `claimed` lost and live has.

    A struct goes as one if all in it is lost, or is nobody's (the defaults that came with it).
    """
    search = _Search(Authors(live, context.manager))
    lost = once.difference(claimed)
    return search.lost(live, lost.tree, claimed.tree, context.type or DEDUCED, ())


def sort_out(live: Body, predicted: Body, once: FieldSet, claimed: FieldSet, context: Context) -> Dropped:
    """Tell dropped fields that an apply takes away from those that stay because somebody else holds them.

    A field may be in both: of three keys an apply takes two.
    """
    going = [
        each for each in still_there(live, once, claimed, context) if not _kept_whole(each, predicted, context.type)
    ]
    owned = owned_by(live, context.manager)
    authors = Authors(live, context.manager)
    search = _Search(authors, live, context.type)
    lost = once.difference(claimed)
    staying = [
        each
        for each in search.lost(predicted, lost.tree, claimed.tree, context.type or DEDUCED, ())
        if not _comes_back(live, each, owned[0] if owned else FieldSet(), authors, context.type)
    ]
    return Dropped(tuple(going), tuple(staying))


def _kept_whole(each: Difference, predicted: Body, type_: Type | None) -> bool:
    then = locate(predicted, each.path, type_)
    return then is not None and same(each.live, then[1], type_at(type_, each.path))


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


def _comes_back(live: Body, each: Difference, owned: FieldSet, authors: Authors, type_: Type | None) -> bool:
    """Whether a fresh object made from Git would hold the same value, or somebody was given charge of it."""
    twin = ALIASES.get(each.path[-1])
    if twin is not None and locate(live, (*each.path[:-1], twin), type_) is not None:
        return False
    default = default_at(type_, each.path)
    if default is not None and default != {} and same(each.live, default, type_at(type_, each.path)):
        return True
    holders = authors.others(each.path)
    if any(holder.manager == HANDOVER_MANAGER or holder.subresource == "scale" for holder in holders):
        return True
    # Ours alone, yet it survived the apply: the API server put it there again by itself.
    return not holders and owned.touches(each.path)


class _Search:
    """One pass over the tree of lost fields, beside what an object holds there and what Git still claims there.

    With `before`, only values count that the object had before, too: not what the API server put in their place.
    """

    def __init__(self, authors: Authors, before: Body | None = None, whole: Type | None = None) -> None:
        self._authors = authors
        self._before = before
        self._type = whole

    def lost(self, live: Any, lost: Tree, claimed: Tree, type_: Type, path: Path) -> Iterator[Difference]:
        for element, node in lost.items():
            found = locate(live, (element,), type_) if element != SELF else None
            if found is None or found[1] is None:
                continue
            value, inner, here = found[1], type_at(type_, (element,)), (*path, element)
            git = claimed.get(element)
            if git is not None:
                # An empty map claims nothing of what is in it; a value that is claimed as one claims all.
                if node and (git or not _atomic(inner)):
                    yield from self.lost(value, node, git, inner, here)
            elif self.goes_as_one(value, node, inner, here):
                if self._was_there(value, inner, here):
                    yield Difference(here, NOTHING, value)
            else:
                yield from self.lost(value, node, {}, inner, here)

    def goes_as_one(self, value: Any, node: Tree, type_: Type, path: Path) -> bool:
        if not path[-1].startswith("f:") or value in ({}, []):
            return True
        if isinstance(value, dict) and value and type_.map is not None and not type_.map.atomic:
            for name, inner in value.items():
                element, child = f"f:{name}", type_.map.child(name) or DEDUCED
                below = node.get(element)
                if below is not None and not self.goes_as_one(inner, below, child, (*path, element)):
                    return False
                if below is None and not (type_.map.declares(name) and self._nobodys((*path, element))):
                    return False
            # Where the API server changed some of it, the rest is looked at field by field.
            return self._was_there(value, type_, path)
        if isinstance(value, list) and value and type_.list is not None and not type_.list.atomic:
            return all(type_.list.key_of(item) in node for item in value)
        return not node or SELF in node

    def _nobodys(self, path: Path) -> bool:
        return all(author.manager == BEFORE_FIRST_APPLY for author in self._authors.others(path))

    def _was_there(self, value: Any, type_: Type, path: Path) -> bool:
        if self._before is None:
            return True
        found = locate(self._before, path, self._type)
        return found is not None and _part_of(value, found[1], type_)


def _part_of(part: Any, whole: Any, type_: Type) -> bool:
    """Whether `whole` has everything in `part` with the same values."""
    if isinstance(part, dict) and isinstance(whole, dict) and type_.map is not None and not type_.map.atomic:
        return all(
            name in whole and _part_of(value, whole[name], type_.map.child(name) or DEDUCED)
            for name, value in part.items()
        )
    if isinstance(part, list) and isinstance(whole, list) and type_.list is not None and not type_.list.atomic:
        by_key = {type_.list.key_of(item): item for item in whole}
        keyed = [(type_.list.key_of(item), item) for item in part]
        return all(key in by_key and _part_of(item, by_key[key], type_.list.element) for key, item in keyed)
    return same(part, whole, type_)


def _atomic(type_: Type) -> bool:
    return (type_.map is None or type_.map.atomic) and (type_.list is None or type_.list.atomic)
