"""How much this process asks of one API server at once: less when it is overloaded. Called by connection."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_HALVE_EVERY = 1.0


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
    def pass_through(self, patience: float = 60.0) -> Iterator[bool]:
        """Wait for a place; False if none became free within `patience` seconds."""
        with self._changed:
            admitted = self._changed.wait_for(lambda: self._in_flight < self.limit, patience)
            self._in_flight += admitted
        try:
            yield admitted
        finally:
            if admitted:
                with self._changed:
                    self._in_flight -= 1
                    self._changed.notify()

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
