"""Find fields that someone else keeps changing back, so that a repair does not become a war (wants, B5)."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from driftline.model.marks import MANAGER, NAMESPACE_MANAGER
from driftline.model.objects import Key

LIMIT = 3
WINDOW = timedelta(minutes=10)


@dataclass(frozen=True)
class Flip:
    """One field that was found changed after we had set it. `manager` is empty where nothing recorded it."""

    key: Key
    path: str
    manager: str
    at: datetime


@dataclass(frozen=True)
class Fight:
    """A field that is left to its other manager until Git changes."""

    key: Key
    path: str
    manager: str
    times: int

    def __str__(self) -> str:
        who = self.manager or "somebody whom nothing recorded"
        return (
            f"{self.key}: {self.path} was changed back {self.times} times by {who} and is no longer repaired; "
            "remove it from Git, ignore it with ignoreDifferences, or stop the other writer"
        )


def fights(flips: Iterable[Flip], now: datetime, limit: int = LIMIT, window: timedelta = WINDOW) -> tuple[Fight, ...]:
    """The fields that flipped at least `limit` times within `window` before `now`, by key and path.

    The manager named is the one that flipped it last. Store what is returned: a fight stays until a new target, or
    each quiet window would begin it anew.
    """
    recent: dict[tuple[Key, str], list[Flip]] = defaultdict(list)
    for flip in flips:
        if now - window <= flip.at <= now and not _us(flip.manager):
            recent[flip.key, flip.path].append(flip)
    return tuple(
        Fight(key, path, max(found, key=lambda flip: flip.at).manager, len(found))
        for (key, path), found in sorted(recent.items())
        if len(found) >= limit
    )


def _us(manager: str) -> bool:
    return manager in (MANAGER, NAMESPACE_MANAGER) or manager.startswith(f"{MANAGER}:")
