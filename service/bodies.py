"""Read a request's body from someone who has not proved anything yet: capped in size, in time and in number.

Used by service.webhooks. The web server gives a thread to each request, so without these limits a few clients could
hold all threads (by sending slowly) or all memory (by sending much).
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from flask import Request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

SMALL = 1024 * 1024
"""Bodies up to this size, bytes, are read without asking."""
LARGE_AT_ONCE = 8
"""Larger bodies held in memory at the same time."""
PATIENCE = timedelta(seconds=30)
"""How long the whole of a body may take to arrive."""


class TooLarge(Exception):
    """The body is larger than the cap. What is beyond it was not read."""


class TooSlow(Exception):
    """The body did not arrive in time, or the sender went away."""


class Unreadable(Exception):
    """The body's framing is broken (a malformed chunk, for example)."""


class TooMany(Exception):
    """Enough large bodies are being handled already; this one was not read."""


class Bodies:
    """Reads bodies of at most `cap` bytes. One per application; safe to use from many threads."""

    def __init__(self, cap: int, patience: timedelta = PATIENCE) -> None:
        self.cap = cap
        self._large = threading.BoundedSemaphore(LARGE_AT_ONCE)
        self._clock = _Clock(patience.total_seconds())

    @contextmanager
    def read(self, request: Request) -> Iterator[bytes]:
        """The body, for the duration of the block. Raises TooLarge, TooSlow, TooMany or Unreadable."""
        # One more than the cap: the framework cannot tell a body of exactly its limit from a longer one.
        request.max_content_length = self.cap + 1
        announced = request.content_length
        if announced is not None and announced > self.cap:
            raise TooLarge
        sock = request.environ.get("gunicorn.socket")
        held = False
        try:
            with self._clock.running(sock):
                body, more = self._start(request)
                if more:
                    held = self._large.acquire(blocking=False)
                    if not held:
                        raise TooMany
                    body += self._take(request, self.cap + 1 - len(body))
            if len(body) > self.cap:
                raise TooLarge
            if announced is not None and len(body) < announced:
                raise TooSlow
            yield body
        finally:
            if held:
                self._large.release()

    def _start(self, request: Request) -> tuple[bytes, bool]:
        """The first SMALL bytes, and whether there are more."""
        announced = request.content_length
        body = self._take(request, SMALL if announced is None else min(SMALL, announced))
        return body, len(body) == SMALL and announced != SMALL

    @staticmethod
    def _take(request: Request, size: int) -> bytes:
        try:
            parts = []
            while size > 0 and (part := request.stream.read(size)):
                parts.append(part)
                size -= len(part)
            return b"".join(parts)
        except RequestEntityTooLarge:
            raise TooLarge from None
        except (ClientDisconnected, OSError, EOFError):
            raise TooSlow from None
        except Exception:
            # Each web server has exceptions of its own for broken framing; all of them are the sender's doing.
            raise Unreadable from None


class _Clock:
    """Closes the reading side of sockets whose body takes too long: one thread for all, started when first needed.

    A timeout on the socket would not do: it starts again with every byte that arrives.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._due: dict[int, tuple[float, socket.socket]] = {}
        self._lock = threading.Lock()
        self._started = False

    @contextmanager
    def running(self, sock: socket.socket | None) -> Iterator[None]:
        if sock is None:
            yield
            return
        mine = id(sock)
        with self._lock:
            self._due[mine] = (time.monotonic() + self._patience, sock)
            if not self._started:
                self._started = True
                threading.Thread(target=self._watch, name="body-clock", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                self._due.pop(mine, None)

    def _watch(self) -> None:
        while True:
            time.sleep(min(self._patience, 1.0) / 2)
            now = time.monotonic()
            # Under the lock a socket is still being read, so it cannot be one that was handed on.
            with self._lock:
                for late, sock in list(self._due.values()):
                    if late < now:
                        try:
                            sock.shutdown(socket.SHUT_RD)
                        except OSError:
                            pass
