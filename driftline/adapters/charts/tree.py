"""The files of a pulled chart as a Tree; its object ids are hashes of content, so that equal charts render once."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from driftline.desired.tree import Entry, EntryKind
from driftline.model.errors import Permanent


def file_id(content: bytes) -> str:
    """The object id of a file's content."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Listing:
    """What a chart holds, without the content. `files` maps paths to (object id, size); some of them are `links`.

    An artifact, which is no chart, has no name; its version is its manifest's digest.
    """

    name: str
    version: str
    files: Mapping[str, tuple[str, int]]
    links: frozenset[str] = frozenset()

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """Every file and directory by path, the root as the empty one."""
        found = {path: Entry(path, self._kind(path), oid, size) for path, (oid, size) in self.files.items()}
        for directory in sorted(self.children, key=lambda path: (path.count("/"), path), reverse=True):
            if directory:
                found[directory] = Entry(directory, EntryKind.DIRECTORY, self._directory_id(directory, found))
        found[""] = Entry("", EntryKind.DIRECTORY, self._directory_id("", found))
        return found

    @cached_property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        """The paths right below each directory."""
        found: dict[str, set[str]] = {"": set()}
        for path in self.files:
            below = path
            while below:
                above = below.rpartition("/")[0]
                found.setdefault(above, set()).add(below)
                below = above
        return {directory: tuple(sorted(paths)) for directory, paths in found.items()}

    def _kind(self, path: str) -> EntryKind:
        return EntryKind.SYMLINK if path in self.links else EntryKind.FILE

    def _directory_id(self, directory: str, known: Mapping[str, Entry]) -> str:
        lines = [f"{known[path].kind} {known[path].oid} {path}" for path in self.children[directory]]
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


class ChartTree:
    """A chart's own directory as root. `contents` reads the whole archive, whatever became of it since."""

    def __init__(self, shown: str, listing: Listing, contents: Callable[[], Mapping[str, bytes]]) -> None:
        self._shown, self._listing, self._contents = shown, listing, contents

    @property
    def commit(self) -> str:
        """The chart's version, which is what a chart has for a commit."""
        return self._listing.version

    def oids(self, paths: Iterable[str]) -> Mapping[str, str]:
        entries = self._listing.entries
        return {path: entries[path].oid for path in paths if path in entries}

    def entry(self, path: str) -> Entry | None:
        return self._listing.entries.get(path)

    def list(self, path: str, recursive: bool = False) -> tuple[Entry, ...]:
        """Raises Permanent if `path` is no directory."""
        entries = self._listing.entries
        if path not in self._listing.children:
            raise Permanent(f"{self._shown}: {path or '/'}: is not a directory; check the application's path")
        if not recursive:
            return tuple(entries[child] for child in self._listing.children[path])
        below = f"{path}/" if path else ""
        return tuple(entries[each] for each in sorted(self._listing.files) if each.startswith(below))

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Raises Permanent for a path that is no file."""
        wanted = list(paths)
        for path in wanted:
            if path not in self._listing.files:
                what = "is a directory, not a file" if path in self._listing.children else "does not exist"
                raise Permanent(f"{self._shown}: {path}: {what}")
        contents = self._contents()
        return {path: contents[path] for path in wanted}
