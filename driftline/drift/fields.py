"""Sets of fields as server-side apply records them, and the set that one desired object claims.

A set is kept as the tree that `managedFields` holds as `fieldsV1`, brought to one spelling, so that equality of sets is
equality of trees: a node without children, or with a `.`, is a member.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from driftline.drift import fieldtrees
from driftline.drift.fieldtrees import SELF, Tree
from driftline.drift.paths import Path
from driftline.drift.schema import DEDUCED, Type
from driftline.model.marks import MANAGER

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
        return cls(fieldtrees.canonical(fields_v1 or {}))

    @classmethod
    def of(cls, *paths: Path) -> "FieldSet":
        """The set of exactly these paths."""
        found = cls()
        for path in paths:
            found = found.union(cls(fieldtrees.single(path)))
        return found

    def __bool__(self) -> bool:
        return bool(self.tree)

    def union(self, other: "FieldSet") -> "FieldSet":
        if not (self.tree and other.tree):
            return self if self.tree else other
        return FieldSet(fieldtrees.union(self.tree, other.tree))

    def difference(self, other: "FieldSet") -> "FieldSet":
        return FieldSet(fieldtrees.difference(self.tree, other.tree))

    def intersection(self, other: "FieldSet") -> "FieldSet":
        return FieldSet(fieldtrees.intersection(self.tree, other.tree))

    def without(self, path: Path) -> "FieldSet":
        """The set without a path and everything below it."""
        return FieldSet(fieldtrees.without(self.tree, path))

    def has(self, path: Path) -> bool:
        """Whether exactly this path is a member."""
        node = self._node(path)
        return node is not None and fieldtrees.is_member(node)

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
        return fieldtrees.is_member(node)

    def members(self) -> Iterator[Path]:
        """Every path of the set, parents before what is below them."""
        yield from fieldtrees.members(self.tree, ())

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
                found[element] = fieldtrees.node_of(member, below)
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
                found[element] = fieldtrees.node_of(True, below)
        return found
