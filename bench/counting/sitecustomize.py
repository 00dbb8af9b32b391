"""Counts what a Driftline process does: transactions, statements, processes it starts. On PYTHONPATH only in a bench.

Python imports a module of this name at its start. Each process keeps its counts in a file of its own under
BENCH_COUNTS, mapped into memory, so that counting costs a microsecond: 256 bytes of command line, then the numbers as
8-byte integers in the order of `NAMES`. Command lines of what they start go to `starts.log`,
statements to `statements.log`.
"""

import mmap
import os
import struct
import sys
import threading
from typing import Any

NAMES = ("transactions", "statements", "starts")
LABEL = 256
_directory = os.environ.get("BENCH_COUNTS", "")


class _Counts:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open()

    def open(self) -> None:
        """Begin at nothing in this process's own file."""
        self.lock = threading.Lock()
        path = os.path.join(_directory, str(os.getpid()))
        with open(path, "w+b") as file:
            file.truncate(LABEL + 8 * len(NAMES))
            self.memory = mmap.mmap(file.fileno(), 0)
        with open("/proc/self/cmdline", "rb") as words:
            label = words.read()[: LABEL - 1]
        self.memory[: len(label)] = label

    def add(self, name: str) -> None:
        where = LABEL + 8 * NAMES.index(name)
        with self.lock:
            (known,) = struct.unpack_from("q", self.memory, where)
            struct.pack_into("q", self.memory, where, known + 1)


def _log(name: str, line: str) -> None:
    with open(os.path.join(_directory, name), "a") as log:
        log.write(" ".join(line.split()) + "\n")


def _listen(counts: _Counts) -> None:
    from sqlalchemy import Engine, event

    def statement(db: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
        if not sql.upper().startswith(("BEGIN", "PRAGMA", "SET ")):
            counts.add("statements")
            _log("statements.log", sql)

    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Engine, "begin", lambda db: counts.add("transactions"))


def _start() -> None:
    counts = _Counts()
    os.register_at_fork(after_in_child=counts.open)
    # Before anything of the process is imported: SQLAlchemy's class-wide events reach engines made later.
    _listen(counts)

    def heard(name: str, arguments: Any) -> None:
        if name in ("subprocess.Popen", "os.posix_spawn", "os.fork"):
            counts.add("starts")
            words = arguments[1] if name != "os.fork" else ["fork"]
            _log("starts.log", " ".join(map(str, words)))

    sys.addaudithook(heard)


if _directory:
    _start()
