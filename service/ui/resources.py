"""The objects of an application as a list: the ones in trouble first, in pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from driftline.flow.inspect import Node
from driftline.model.health import HealthStatus, SyncStatus

ROWS = 200
"""Objects on one page."""


@dataclass(frozen=True)
class Objects:
    """One page of objects. `healthy` counts those of the whole list that need nobody."""

    nodes: tuple[Node, ...]
    total: int
    troubled: int
    page: int
    pages: int


def objects(nodes: Sequence[Node], wanted_page: int) -> Objects:
    """One page, counted from 1; a number beyond the last gives the last."""
    ordered = sorted(nodes, key=lambda node: (not in_trouble(node), -_badness(node), node.key))
    pages = max(1, -(-len(ordered) // ROWS))
    number = min(max(1, wanted_page), pages)
    some = tuple(ordered[(number - 1) * ROWS : number * ROWS])
    return Objects(some, len(ordered), sum(in_trouble(node) for node in ordered), number, pages)


def in_trouble(node: Node) -> bool:
    """Whether somebody should look at this object."""
    well = node.health_status in (HealthStatus.HEALTHY, HealthStatus.SUSPENDED)
    return not well or node.sync_status != SyncStatus.SYNCED or node.drifted_fields > 0


def why(node: Node) -> str:
    """The cause in a few words: of its health first, else of its sync status."""
    return node.health_message or node.reason


def _badness(node: Node) -> int:
    words = list(HealthStatus)
    return words.index(HealthStatus(node.health_status)) if node.health_status in words else len(words)
