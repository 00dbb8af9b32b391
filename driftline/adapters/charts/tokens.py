"""Tokens that a registry's token service gave, for as long as they last. In memory only."""

import time
from collections import OrderedDict
from threading import Lock

from driftline.model.access import RepositoryAccess

_USUAL = 60
"""Seconds that a token lasts if its service does not say: the protocol's own default."""
_MARGIN = 10
"""Seconds before its end from which a token is not begun with."""
_LONGEST = 300
_KEPT = 64


class Tokens:
    """The tokens of one access to a registry, by the repository that each lets us read. Safe for threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def get(self, name: str) -> str | None:
        """A token that lasts a while yet, None if there is none."""
        with self._lock:
            token, until = self._held.get(name, (None, 0.0))
        return token if time.monotonic() < until else None

    def keep(self, name: str, token: str, seconds: object) -> None:
        """Remember a token that lasts so many `seconds`, as its service says."""
        said = seconds if isinstance(seconds, int) else _USUAL
        with self._lock:
            self._held[name] = token, time.monotonic() + min(said, _LONGEST) - _MARGIN
            self._held.move_to_end(name)
            while len(self._held) > _KEPT:
                self._held.popitem(last=False)


class AllTokens:
    """The tokens of every access: one with other credentials has tokens of its own."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: OrderedDict[RepositoryAccess, Tokens] = OrderedDict()

    def of(self, access: RepositoryAccess) -> Tokens:
        """The tokens of one access."""
        with self._lock:
            found = self._held.setdefault(access, Tokens())
            self._held.move_to_end(access)
            while len(self._held) > _KEPT:
                self._held.popitem(last=False)
        return found
