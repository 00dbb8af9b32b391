"""How much this process asks of one API server at once: less when it is overloaded. Called by connection."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_HALVE_EVERY = 1.0


class Place:
    """A place in a gate, held until it is left. `admitted` is false if none became free in time."""

    def __init__(self, gate: "Gate", admitted: bool) -> None:
        self.admitted = admitted
        self._gate: Gate | None = gate if admitted else None

    def leave(self) -> None:
        """Give it up. Leaving twice is fine."""
        if self._gate is not None:
            self._gate._left()
            self._gate = None


class Gate:
    """At most `most` requests in flight; half as many after each sign of overload, and step by step up again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._in_flight = 0
        self._halved = 0.0
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """How many may be in flight now."""
        return max(1, int(self._limit))

    @contextmanager
    def hold(self, needed: bool = True, patience: float = 60.0) -> Iterator[Place]:
        """Wait up to `patience` seconds for a place. Not `needed`: a place that counts nowhere."""
        place = Place(self, needed and self._enter(patience))
        try:
            yield place
        finally:
            place.leave()

    def went_well(self) -> None:
        """One place more after about as many good answers as there are places."""
        if self._limit < self._most:
            with self._changed:
                self._limit = min(self._most, self._limit + 1 / self._limit)
                self._changed.notify()

    def overloaded(self) -> None:
        """Halve the limit. A burst of refusals that left together counts once."""
        with self._changed:
            if time.monotonic() - self._halved > _HALVE_EVERY:
                self._halved = time.monotonic()
                self._limit = max(1.0, self._limit / 2)

    def _enter(self, patience: float) -> bool:
        with self._changed:
            admitted = self._changed.wait_for(lambda: self._in_flight < self.limit, patience)
            self._in_flight += admitted
            return admitted

    def _left(self) -> None:
        with self._changed:
            self._in_flight -= 1
            self._changed.notify()
