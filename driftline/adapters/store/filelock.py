"""A fair queue for the writers of one SQLite file, kept by the kernel. Called by the engine."""

import fcntl
import os
import threading
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from driftline.adapters.store.errors import DatabaseAway, DatabaseBusy


class FileLock:
    """An exclusive flock, held by one thread of one process at a time; `with` takes it and gives it back.

    SQLite's own lock is polled, so that under load a writer may wait for seconds. Here waiters queue in the kernel.
    """

    def __init__(self, path: Path, patience: timedelta) -> None:
        self.path = path
        self.patience = patience
        self._held = threading.local()

    def __enter__(self) -> None:
        self._held.descriptor = self._take()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _release(self._held.descriptor)

    def _take(self) -> int:
        """Queue for the lock. Raises DatabaseBusy when our patience ends: the holder may be stopped or hung."""
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._queue(descriptor)
        return descriptor

    def _open(self) -> int:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = f"{error.strerror}; it has to be writable, on a local disk"
            raise DatabaseAway(f"{self.path}: the lock file of the database cannot be opened ({reason})") from error

    def _queue(self, descriptor: int) -> int:
        # flock knows no timeout, so that the waiting is done by a thread which can be left behind.
        waiter = _Waiter(descriptor)
        waiter.start()
        if not waiter.taken.wait(self.patience.total_seconds()) and waiter.leave():
            seconds = self.patience.total_seconds()
            raise DatabaseBusy(f"{self.path}: no turn to write for {seconds:g} s; the writer that holds it may hang")
        return descriptor


class _Waiter(threading.Thread):
    """Waits for the lock; gives it back at once if nobody wants it any more."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True, name="driftline-write-turn")
        self.descriptor = descriptor
        self.taken = threading.Event()
        self._left = False
        self._deciding = threading.Lock()

    def run(self) -> None:
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        with self._deciding:
            if self._left:
                _release(self.descriptor)
            else:
                self.taken.set()

    def leave(self) -> bool:
        """Give up waiting; False if the lock came after all and is ours."""
        with self._deciding:
            self._left = not self.taken.is_set()
            return self._left


def _release(descriptor: int) -> None:
    # Unlock before closing: a child that was forked meanwhile has the same open file and would keep the lock.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
