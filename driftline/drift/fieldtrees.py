"""The trees in which sets of fields are kept, as `managedFields` has them, and what can be done with them.

A node without children, or with a `.`, is a member. Behind driftline.drift.fields.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from driftline.drift.paths import Path

Tree = dict[str, Any]

SELF: Final = "."
"""The element of a node that is a member itself and has others below it."""


def node_of(member: bool, below: Tree) -> Tree:
    """A node that is a member itself, or only leads to others."""
    return {SELF: {}, **below} if member and below else below


def is_member(node: Tree) -> bool:
    """Whether a node is a member itself."""
    return not node or SELF in node


def canonical(tree: Mapping[str, Any]) -> Tree:
    """A tree of `managedFields` in one spelling: without empty detours, keys of list items in one order."""
    found: Tree = {}
    for element, below in tree.items():
        kind = element[:2]
        if kind == "f:":
            found[element] = canonical(below) if below else {}
        elif element == SELF:
            found[SELF] = {}
        elif kind in ("k:", "v:"):
            found[_spelled(element)] = canonical(below) if below else {}
        elif kind == "i:":
            found[element] = canonical(below)
    return {} if found.keys() == {SELF} else found


@lru_cache(maxsize=10_000)
def _spelled(element: str) -> str:
    return element[:2] + orjson.dumps(orjson.loads(element[2:]), option=orjson.OPT_SORT_KEYS).decode()


def single(path: Path) -> Tree:
    """The tree of one path."""
    tree: Tree = {}
    for element in reversed(path):
        tree = {element: tree}
    return tree


def union(left: Tree, right: Tree) -> Tree:
    """What is in either."""
    found = dict(left)
    for element, node in right.items():
        mine = left.get(element)
        if element == SELF or mine is None:
            found[element] = node
            continue
        below = union({k: v for k, v in mine.items() if k != SELF}, {k: v for k, v in node.items() if k != SELF})
        found[element] = node_of(is_member(mine) or is_member(node), below)
    return found


def difference(left: Tree, right: Tree) -> Tree:
    """What is in the left one only."""
    found: Tree = {}
    for element, node in left.items():
        if element == SELF:
            continue
        other = right.get(element)
        if other is None:
            found[element] = node
            continue
        below = difference(node, other)
        member = is_member(node) and not is_member(other)
        if member or below:
            found[element] = node_of(member, below)
    return found


def intersection(left: Tree, right: Tree) -> Tree:
    """What is in both."""
    found: Tree = {}
    for element, node in left.items():
        other = right.get(element)
        if other is None or element == SELF:
            continue
        below = intersection(node, other)
        member = is_member(node) and is_member(other)
        if member or below:
            found[element] = node_of(member, below)
    return found


def without(tree: Tree, path: Path) -> Tree:
    """The tree without a path and all below it."""
    below = tree.get(path[0])
    if below is None:
        return tree
    rest = {element: node for element, node in tree.items() if element != path[0]}
    if len(path) == 1:
        return rest
    left = without(below, path[1:])
    if left is below:
        return tree
    if not left:
        return rest
    return {**rest, path[0]: {} if left.keys() == {SELF} else left}


def members(tree: Tree, above: Path) -> Iterator[Path]:
    """The paths that are members."""
    for element, node in tree.items():
        if element == SELF:
            continue
        path = (*above, element)
        if is_member(node):
            yield path
        yield from members(node, path)
