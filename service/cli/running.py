"""Whether `driftline up` runs for a data directory: a locked file that holds its process id."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.cli.failing import Problem


def _file(data_dir: Path) -> Path:
    return data_dir / "up.pid"


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the lock while the processes run. The kernel lets go of it whatever happens to us. Raises Problem."""
    with _file(data_dir).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem(f"{data_dir}: driftline up runs already; end it with driftline down") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def pid(data_dir: Path) -> int | None:
    """The process that holds the lock, None if nobody does."""
    try:
        with _file(data_dir).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read().strip()
                return int(text) if text.isdecimal() else None
            return None
    except FileNotFoundError:
        return None
