"""Sets of fields as server-side apply records them, and the set that one desired object claims.

A set is kept as the tree that `managedFields` holds as `fieldsV1`, brought to one spelling, so that equality of sets is
equality of trees: a node without children, or with a `.`, is a member.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import orjson

from driftline.drift.paths import Path
from driftline.drift.schema import DEDUCED, Type
from driftline.model.marks import MANAGER

Tree = dict[str, Any]

SELF: Final = "."
"""The element of a node that is a member itself and has others below it."""
_ROOT: Final = frozenset({"f:apiVersion", "f:kind", "f:status"})
_METADATA: Final = frozenset(
    f"f:{name}"
    for name in (
        *("name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation"),
        *("managedFields", "resourceVersion"),
    )
)


@dataclass(frozen=True)
class FieldSet:
    """A set of field paths."""

    tree: Tree = field(default_factory=dict)
    """Canonical `fieldsV1`; made by `parse`, never changed."""

    @classmethod
    def parse(cls, fields_v1: Mapping[str, Any] | None) -> "FieldSet":
        """Read `fieldsV1`. Elements of unknown kinds are left out, as the API server does."""
        return cls(_canonical(fields_v1 or {}))

    @classmethod
    def of(cls, *paths: Path) -> "FieldSet":
        """The set of exactly these paths."""
        found = cls()
        for path in paths:
            found = found.union(cls(_single(path)))
        return found

    def __bool__(self) -> bool:
        return bool(self.tree)

    def union(self, other: "FieldSet") -> "FieldSet":
        return FieldSet(_union(self.tree, other.tree)) if self.tree and other.tree else self if self.tree else other

    def difference(self, other: "FieldSet") -> "FieldSet":
        return FieldSet(_difference(self.tree, other.tree))

    def intersection(self, other: "FieldSet") -> "FieldSet":
        return FieldSet(_intersection(self.tree, other.tree))

    def without(self, path: Path) -> "FieldSet":
        """The set without a path and everything below it."""
        return FieldSet(_without(self.tree, path))

    def has(self, path: Path) -> bool:
        """Whether exactly this path is a member."""
        node = self._node(path)
        return node is not None and _member(node)

    def touches(self, path: Path) -> bool:
        """Whether the path, or anything below it, is a member."""
        return self._node(path) is not None

    def covers(self, path: Path) -> bool:
        """Whether the path, or a value above it that is claimed as a whole, is a member."""
        node: Tree = self.tree
        for element in path:
            below = node.get(element)
            if below is None:
                return False
            if not below:
                return True
            node = below
        return _member(node)

    def members(self) -> Iterator[Path]:
        """Every path of the set, parents before what is below them."""
        yield from _members(self.tree, ())

    def leaves(self) -> Iterator[Path]:
        """The paths of the set that have nothing below them."""
        return (path for path in self.members() if not self._node(path))

    def to_fields_v1(self) -> Tree:
        """The `fieldsV1` object."""
        return self.tree

    def _node(self, path: Path) -> Tree | None:
        node: Tree | None = self.tree
        for element in path:
            node = node.get(element) if node else None
            if node is None:
                return None
        return node


@dataclass(frozen=True)
class Claims:
    """What a desired object claims, and what in it a schema cannot vouch for."""

    fields: FieldSet
    unknown: tuple[Path, ...] = ()
    """Fields that the schema has no place for; server-side apply refuses them."""
    nulls: tuple[Path, ...] = ()
    duplicates: tuple[Path, ...] = ()
    """List items whose key occurs twice; server-side apply refuses them."""


def claims_of(desired: Mapping[str, Any], type_: Type | None) -> Claims:
    """The set that server-side apply records for an object, with everything that makes the answer doubtful."""
    walk = _Walk()
    tree = walk.map(desired, type_ or DEDUCED, ())
    root = {element: node for element, node in tree.items() if element not in _ROOT}
    metadata = {element: node for element, node in root.get("f:metadata", {}).items() if element not in _METADATA}
    metadata.pop(SELF, None)
    root.pop("f:metadata", None)
    if metadata:
        root["f:metadata"] = metadata
    return Claims(FieldSet(root), tuple(walk.unknown), tuple(walk.nulls), tuple(walk.duplicates))


def fields_of(desired: Mapping[str, Any], type_: Type | None) -> FieldSet:
    """The set that server-side apply records for this object under its manager (status is never part of it)."""
    return claims_of(desired, type_).fields


def owned_by(
    live: Mapping[str, Any], manager: str = MANAGER, operation: str = "Apply", subresource: str = ""
) -> tuple[FieldSet, str] | None:
    """The set that a manager holds in a live object and the apiVersion it is spelled in; None if it holds nothing."""
    for entry in entries_of(live):
        if (entry.get("manager"), entry.get("operation")) == (manager, operation) and (
            entry.get("subresource") or ""
        ) == subresource:
            return FieldSet.parse(entry.get("fieldsV1")), str(entry.get("apiVersion", ""))
    return None


def entries_of(live: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of `managedFields`; those that are no objects are left out."""
    found = (live.get("metadata") or {}).get("managedFields")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


class _Walk:
    """One pass over a desired object. Each visit answers: is the value itself a member, and the tree below it."""

    def __init__(self) -> None:
        self.unknown: list[Path] = []
        self.nulls: list[Path] = []
        self.duplicates: list[Path] = []

    def map(self, value: Mapping[str, Any], type_: Type, path: Path) -> Tree:
        found: Tree = {}
        if type_.map is None:
            return found
        for name, inner in value.items():
            element = f"f:{name}"
            child = type_.map.child(name)
            if child is None:
                self.unknown.append((*path, element))
                child = DEDUCED
            member, below = self.visit(inner, child, (*path, element))
            member = member or inner is None or inner == {} or not type_.map.declares(name)
            if member or below:
                found[element] = _node(member, below)
        return found

    def visit(self, value: Any, type_: Type, path: Path) -> tuple[bool, Tree]:
        if isinstance(value, dict):
            if type_.map is None:
                self.unknown.append(path)
                return True, {}
            return (True, {}) if type_.map.atomic else (False, self.map(value, type_, path))
        if isinstance(value, list):
            if type_.list is None:
                self.unknown.append(path)
                return True, {}
            return (True, {}) if type_.list.atomic else (False, self.list(value, type_, path))
        if value is None:
            self.nulls.append(path)
        elif not type_.scalar:
            self.unknown.append(path)
        return True, {}

    def list(self, value: list[Any], type_: Type, path: Path) -> Tree:
        found: Tree = {}
        assert type_.list is not None
        for item in value:
            element = type_.list.key_of(item)
            if element is None:
                self.unknown.append(path)
            elif element in found:
                self.duplicates.append((*path, element))
                found[element] = {}
            else:
                _, below = self.visit(item, type_.list.element, (*path, element))
                found[element] = _node(True, below)
        return found


def _node(member: bool, below: Tree) -> Tree:
    return {SELF: {}, **below} if member and below else below


def _member(node: Tree) -> bool:
    return not node or SELF in node


def _canonical(tree: Mapping[str, Any]) -> Tree:
    found: Tree = {}
    for element, below in tree.items():
        kind = element[:2]
        if kind == "f:":
            found[element] = _canonical(below) if below else {}
        elif element == SELF:
            found[SELF] = {}
        elif kind in ("k:", "v:"):
            found[_spelled(element)] = _canonical(below) if below else {}
        elif kind == "i:":
            found[element] = _canonical(below)
    return {} if found.keys() == {SELF} else found


@lru_cache(maxsize=10_000)
def _spelled(element: str) -> str:
    return element[:2] + orjson.dumps(orjson.loads(element[2:]), option=orjson.OPT_SORT_KEYS).decode()


def _single(path: Path) -> Tree:
    tree: Tree = {}
    for element in reversed(path):
        tree = {element: tree}
    return tree


def _union(left: Tree, right: Tree) -> Tree:
    found = dict(left)
    for element, node in right.items():
        mine = left.get(element)
        if element == SELF or mine is None:
            found[element] = node
            continue
        below = _union({k: v for k, v in mine.items() if k != SELF}, {k: v for k, v in node.items() if k != SELF})
        found[element] = _node(_member(mine) or _member(node), below)
    return found


def _difference(left: Tree, right: Tree) -> Tree:
    found: Tree = {}
    for element, node in left.items():
        if element == SELF:
            continue
        other = right.get(element)
        if other is None:
            found[element] = node
            continue
        below = _difference(node, other)
        member = _member(node) and not _member(other)
        if member or below:
            found[element] = _node(member, below)
    return found


def _intersection(left: Tree, right: Tree) -> Tree:
    found: Tree = {}
    for element, node in left.items():
        other = right.get(element)
        if other is None or element == SELF:
            continue
        below = _intersection(node, other)
        member = _member(node) and _member(other)
        if member or below:
            found[element] = _node(member, below)
    return found


def _without(tree: Tree, path: Path) -> Tree:
    below = tree.get(path[0])
    if below is None:
        return tree
    rest = {element: node for element, node in tree.items() if element != path[0]}
    if len(path) == 1:
        return rest
    left = _without(below, path[1:])
    if left is below:
        return tree
    if not left:
        return rest
    return {**rest, path[0]: {} if left.keys() == {SELF} else left}


def _members(tree: Tree, above: Path) -> Iterator[Path]:
    for element, node in tree.items():
        if element == SELF:
            continue
        path = (*above, element)
        if _member(node):
            yield path
        yield from _members(node, path)
