"""Reads objects through a long-lived `git cat-file`, many in one round trip; readers are pooled and reaped."""

import os
import select
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from driftline.adapters.git.command import command_line, environment
from driftline.adapters.git.settings import GitSettings
from driftline.model.errors import Temporary

_ANSWER_WITHIN = 30.0
_PIECE = 1 << 16
# Never more unanswered requests than fit the smallest pipe: then neither side can block the other for good.
_BATCH_BYTES = 4000


@dataclass(frozen=True, slots=True)
class Info:
    """Type and size of an object."""

    oid: str
    type: str
    size: int


@dataclass(frozen=True, slots=True)
class Blob:
    """An object with its content; None if that is longer than allowed."""

    info: Info
    content: bytes | None


class Ambiguous(Exception):
    """An abbreviated id fits several objects."""


class Reader:
    """One `git cat-file --batch-command`. Used by one thread at a time; broken after any exception."""

    def __init__(self, settings: GitSettings, git_dir: Path, home: Path) -> None:
        self._limit = settings.blob_limit
        self.inode = git_dir.stat().st_ino
        self.used = time.monotonic()
        self._buffer = bytearray()
        self._process = subprocess.Popen(
            command_line(settings, git_dir, "cat-file", "--batch-command", "--buffer"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=git_dir,
            env=environment(home),
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN | select.POLLHUP)

    def infos(self, names: Sequence[str]) -> list[Info | None]:
        """Type and size of each object, None where there is none. Raises Ambiguous for a short id that fits several."""
        return [found for batch in self._ask("info", names) for found in (self._header() for _ in batch)]

    def contents(self, names: Sequence[str]) -> list[Blob | None]:
        """Each object with its content, None where there is none."""
        return [found for batch in self._ask("contents", names) for found in (self._body() for _ in batch)]

    def close(self) -> None:
        """End the process: it ends by itself when its input does."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, verb: str, names: Sequence[str]) -> Iterator[list[str]]:
        for batch in _batches(verb, names):
            request = "".join(f"{verb} {name}\n" for name in batch) + "flush\n"
            os.write(self._in, request.encode("utf-8", "surrogateescape"))
            yield batch

    def _header(self) -> Info | None:
        line = self._line()
        words = line.rsplit(" ", 2)
        if line.endswith(" missing"):
            return None
        if line.endswith(" ambiguous"):
            raise Ambiguous(words[0])
        if len(words) != 3 or not words[2].isdecimal():
            raise Temporary(f"git object reader: unexpected answer {line[:80]!r}")
        return Info(words[0], words[1], int(words[2]))

    def _body(self) -> Blob | None:
        info = self._header()
        if info is None:
            return None
        if info.size <= self._limit:
            content = self._take(info.size)
            self._take(1)
            return Blob(info, content)
        left = info.size + 1
        while left:
            left -= len(self._take(min(left, _PIECE)))
        return Blob(info, None)

    def _line(self) -> str:
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            self._fill()
        line = self._buffer[:end].decode("utf-8", "surrogateescape")
        del self._buffer[: end + 1]
        return line

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        return piece

    def _fill(self) -> None:
        if not self._poll.poll(_ANSWER_WITHIN * 1000):
            raise Temporary(f"git object reader: no answer within {_ANSWER_WITHIN:.0f} s; is the disk healthy?")
        piece = os.read(self._out, _PIECE)
        if not piece:
            raise BrokenPipeError("git object reader ended")
        self._buffer += piece


class Readers:
    """The readers of this process, by mirror. Safe for threads, and for a fork before the first use in the child."""

    def __init__(self, settings: GitSettings, home: Path) -> None:
        self._settings, self._home = settings, home
        self._guard = threading.Lock()
        self._idle: dict[Path, list[Reader]] = {}
        self._process = os.getpid()

    @contextmanager
    def use(self, git_dir: Path) -> Iterator[Reader]:
        """Lend a reader of a mirror. One that failed is ended and not lent again.

        Raises Temporary if the mirror is not there or its reader died.
        """
        try:
            reader = self._take(git_dir) or Reader(self._settings, git_dir, self._home)
        except FileNotFoundError as error:
            raise Temporary(f"{git_dir.name}: the mirror is not there; it is fetched again") from error
        try:
            yield reader
        except (OSError, ValueError) as error:
            reader.close()
            raise Temporary(f"{git_dir.name}: the mirror cannot be read ({type(error).__name__})") from error
        except BaseException:
            reader.close()
            raise
        self._give(git_dir, reader)

    def close(self, git_dir: Path | None = None) -> None:
        """End the idle readers of one mirror, or all."""
        with self._guard:
            names = list(self._idle) if git_dir is None else [git_dir]
            readers = [reader for name in names for reader in self._idle.pop(name, [])]
        for reader in readers:
            reader.close()

    def reap(self) -> None:
        """End the readers that have been idle for too long, and the longest idle above the number allowed."""
        limit = time.monotonic() - self._settings.session_idle.total_seconds()
        with self._guard:
            by_age = sorted(
                ((reader.used, path, reader) for path, readers in self._idle.items() for reader in readers),
                key=lambda found: found[0],
            )
            extra = len(by_age) - self._settings.sessions
            ended = [found for number, found in enumerate(by_age) if number < extra or found[0] < limit]
            for _, path, reader in ended:
                self._idle[path].remove(reader)
                if not self._idle[path]:
                    del self._idle[path]
        for _, _, reader in ended:
            reader.close()

    def _take(self, git_dir: Path) -> Reader | None:
        inode = git_dir.stat().st_ino
        with self._guard:
            if self._process != os.getpid():
                # A forked child must not talk to its parent's readers; the parent still owns them.
                self._idle, self._process = {}, os.getpid()
            waiting = self._idle.get(git_dir, [])
            stale = [reader for reader in waiting if reader.inode != inode]
            fresh = [reader for reader in waiting if reader.inode == inode]
            reader = fresh.pop() if fresh else None
            self._idle[git_dir] = fresh
        for old in stale:
            old.close()
        return reader

    def _give(self, git_dir: Path, reader: Reader) -> None:
        reader.used = time.monotonic()
        with self._guard:
            self._idle.setdefault(git_dir, []).append(reader)
        self.reap()


def _batches(verb: str, names: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for name in names:
        if "\n" in name or "\0" in name:
            raise ValueError("object name with a line break")
        length = len(verb) + len(name.encode("utf-8", "surrogateescape")) + 2
        if batch and size + length > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(name)
        size += length
    if batch:
        yield batch
