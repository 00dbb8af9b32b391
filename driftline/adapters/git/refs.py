"""Reads and writes the refs of a mirror as files, without starting git. Only our own bare mirrors are read this way.

Git replaces both kinds of file by renaming, and packs a ref before it removes the loose one: who reads loose before
packed misses nothing.
"""

import os
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from driftline.desired.revision import full_id, ref_name

HEAD_REF = "refs/driftline/HEAD"
"""Where the remote's HEAD is kept: what a push of the default branch moves."""
KEEP, REWRITTEN = "refs/keep/", "refs/rewritten/"
OWN = (KEEP, REWRITTEN, "refs/driftline/")
"""Names that are ours in a mirror and are never taken from a host."""
_LOCK_IS_STALE = 10.0
_PACKED = re.compile(rb"^([0-9a-f]{40}|[0-9a-f]{64}) (refs/[^\n]+)(?:\n\^([0-9a-f]{40,64}))?", re.MULTILINE)


class Refs:
    """The refs of one mirror. `packed-refs` is read again only when it has changed."""

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        self._stamp: tuple[int, int, int] | None = None
        self._packed: Mapping[str, str] = {}
        self._peeled: Mapping[str, str] = {}

    def read(self, names: Iterable[str]) -> dict[str, str]:
        """The object ids of the refs among `names` that exist: full names, or stems that end in `*`."""
        found: dict[str, str] = {}
        for name in names:
            if name.endswith("*"):
                found |= self._below(name.removesuffix("*"))
            elif oid := self._loose(name) or self._read_packed().get(name):
                found[name] = oid
        return found

    def peeled(self) -> Mapping[str, str]:
        """tag object -> commit, as far as `packed-refs` says."""
        self._read_packed()
        return self._peeled

    def write(self, name: str, oid: str) -> None:
        """Set a ref in a namespace of ours. Its lock file keeps git and other processes from doing the same."""
        path = self._git_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(path.name + ".lock")
        try:
            if time.time() - lock.stat().st_mtime > _LOCK_IS_STALE:
                lock.unlink()
        except FileNotFoundError:
            pass
        try:
            handle = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return  # Another process writes the very same value: these names are made from their values.
        with os.fdopen(handle, "w") as file:
            file.write(oid + "\n")
        lock.rename(path)

    def _below(self, stem: str) -> dict[str, str]:
        loose: dict[str, str] = {}
        start = self._git_dir / stem.rpartition("/")[0]
        for directory, _, files in os.walk(start):
            for file in files:
                name = f"{os.path.relpath(directory, self._git_dir)}/{file}"
                if name.startswith(stem) and ref_name(name) and (oid := self._loose(name)):
                    loose[name] = oid
        packed = {name: oid for name, oid in self._read_packed().items() if name.startswith(stem)}
        return packed | loose

    def _loose(self, name: str) -> str:
        if not ref_name(name):
            return ""
        try:
            text = (self._git_dir / name).read_text("ascii").strip()
        except (OSError, ValueError):
            return ""
        return text if full_id(text) else ""

    def _read_packed(self) -> Mapping[str, str]:
        try:
            with open(self._git_dir / "packed-refs", "rb") as file:
                status = os.fstat(file.fileno())
                stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
                if stamp != self._stamp:
                    self._parse(file.read())
                    self._stamp = stamp
        except FileNotFoundError:
            self._stamp, self._packed, self._peeled = None, {}, {}
        return self._packed

    def _parse(self, content: bytes) -> None:
        packed, peeled = {}, {}
        for oid, name, target in _PACKED.findall(content):
            text = name.decode("utf-8", "surrogateescape")
            if ref_name(text):
                packed[text] = oid.decode()
                if target:
                    peeled[oid.decode()] = target.decode()
        self._packed, self._peeled = packed, peeled
