"""A directory of this machine as a Tree, for `driftline app diff --local` and `plan --local`."""

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from driftline.desired.tree import Entry, EntryKind
from driftline.model.errors import Permanent

_HIDDEN = ".git"


class DirectoryTree:
    """The files below `root`. Symbolic links are entries, never followed; object ids are hashes of content."""

    def __init__(self, root: Path) -> None:
        """Raises Permanent if `root` is no directory."""
        self._root = root.resolve()
        self._known: dict[str, Entry | None] = {}
        if not self._root.is_dir():
            raise Permanent(f"{root}: is no directory")

    @property
    def commit(self) -> str:
        return "local"

    def oids(self, paths: Iterable[str]) -> Mapping[str, str]:
        found = ((path, self.entry(path)) for path in paths)
        return {path: entry.oid for path, entry in found if entry is not None}

    def entry(self, path: str) -> Entry | None:
        place = self._place(path)
        return None if place is None else self._entry(path, place)

    def list(self, path: str, recursive: bool = False) -> tuple[Entry, ...]:
        """Raises Permanent if `path` is no directory."""
        place = self._place(path)
        if place is None or not stat.S_ISDIR(os.lstat(place).st_mode):
            raise Permanent(f"{self._root}: {path or '.'}: is no directory")
        found: list[Entry] = []
        for name in sorted(os.listdir(place)):
            entry = self._child(path, place, name)
            if entry is not None and recursive and entry.kind is EntryKind.DIRECTORY:
                found += self.list(entry.path, recursive=True)
            elif entry is not None:
                found.append(entry)
        return tuple(sorted(found, key=lambda each: each.path))

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Raises Permanent for a path that is no file."""
        found = {}
        for path in paths:
            place = self._place(path)
            mode = os.lstat(place).st_mode if place is not None else 0
            if place is None or not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
                raise Permanent(f"{self._root}: {path}: is no file")
            found[path] = os.fsencode(os.readlink(place)) if stat.S_ISLNK(mode) else place.read_bytes()
        return found

    def _place(self, path: str) -> Path | None:
        """Where a path lies, None if nothing is there or a part on the way is a link or `..`."""
        place = self._root
        for part in path.split("/") if path else ():
            if part in ("", ".", "..", _HIDDEN) or place.is_symlink() or not place.is_dir():
                return None
            place = place / part
        return place if os.path.lexists(place) else None

    def _child(self, path: str, place: Path, name: str) -> Entry | None:
        return None if name == _HIDDEN else self._entry(f"{path}/{name}".lstrip("/"), place / name)

    def _entry(self, path: str, place: Path) -> Entry | None:
        """What stands at a place; each is looked at once, so that one run sees one state of the directory."""
        if path not in self._known:
            self._known[path] = self._look(path, place)
        return self._known[path]

    def _look(self, path: str, place: Path) -> Entry | None:
        """None for what is neither file, directory nor link: a socket, a device, a pipe."""
        state = os.lstat(place)
        if stat.S_ISLNK(state.st_mode):
            return Entry(path, EntryKind.SYMLINK, _id("link", os.fsencode(os.readlink(place))))
        if stat.S_ISDIR(state.st_mode):
            children = (self._child(path, place, name) for name in sorted(os.listdir(place)))
            lines = [f"{each.kind} {each.oid} {each.path}" for each in children if each is not None]
            return Entry(path, EntryKind.DIRECTORY, _id("tree", "\n".join(lines).encode("utf-8", "surrogateescape")))
        if not stat.S_ISREG(state.st_mode):
            return None
        kind = EntryKind.EXECUTABLE if state.st_mode & stat.S_IXUSR else EntryKind.FILE
        return Entry(path, kind, _id("blob", place.read_bytes()), state.st_size)


def _id(kind: str, content: bytes) -> str:
    return hashlib.sha1(kind.encode() + b"\0" + content, usedforsecurity=False).hexdigest()
