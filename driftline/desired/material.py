"""The part of a repository that a tool may see: files, links inside the repository, copies. Called by the renderers.

A tool runs in a directory that holds this and nothing else, so that what it reads is known and the cache key is exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from driftline.desired.lookup import Found, Lookup
from driftline.desired.paths import below
from driftline.desired.tree import Entry, EntryKind
from driftline.model.errors import Permanent


@dataclass(frozen=True)
class Bounds:
    """How much one render may take out of a repository."""

    files: int = 20_000
    size: int = 100 * 1024 * 1024


@dataclass
class Material:
    """What is needed of one tree. `links` maps a link's path to the real path that it stands for."""

    lookup: Lookup
    bounds: Bounds = Bounds()
    files: dict[str, Entry] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)
    """Files that are to stand in a second place as well: new path -> path in the tree."""
    grafts: dict[str, "Material"] = field(default_factory=dict)
    """Files of other trees that are to stand here as well: path of their root -> what is taken of them."""
    directories: dict[str, str] = field(default_factory=dict)
    """Whole directories: path -> object id."""
    absent: set[str] = field(default_factory=set)
    """Paths that would be read if they existed."""

    def find(self, path: str) -> Found | None:
        """What stands at `path`, remembered as absent if nothing does."""
        found = self.lookup.find(path)
        if found is None:
            self.absent.add(path)
        return found

    def add_file(self, found: Found) -> None:
        """Take one file, and the links that lead to it."""
        self._take(found.path, found.entry)
        self.add_links(found.links)

    def add_directory(self, found: Found) -> None:
        """Take all of a directory, and what links in it lead to. Dangling links are left out.

        Raises Permanent for a link that leads out of the repository, or for too much content.
        """
        self.add_links(found.links)
        waiting = [found]
        while waiting:
            directory = waiting.pop()
            if any(below(directory.path, known) for known in self.directories):
                continue
            self.directories[directory.path] = directory.entry.oid
            for entry in self.lookup.tree.list(directory.path, recursive=True):
                if entry.kind in (EntryKind.FILE, EntryKind.EXECUTABLE):
                    self._take(entry.path, entry)
                elif entry.kind is EntryKind.SYMLINK and (target := self.lookup.find(entry.path)) is not None:
                    self.add_links((entry, *target.links))
                    if target.directory and below(entry.path, target.path):
                        raise Permanent(f"{entry.path}: this symbolic link leads to a directory that holds it")
                    if target.directory:
                        waiting.append(target)
                    elif target.file:
                        self._take(target.path, target.entry)

    def _take(self, path: str, entry: Entry) -> None:
        self.files[path] = entry
        if len(self.files) > self.bounds.files:
            raise Permanent(f"{path}: more than {self.bounds.files} files would be needed to render this")

    def add_links(self, links: tuple[Entry, ...]) -> None:
        """Take links that were followed on the way to something."""
        for link in links:
            target = self.lookup.find(link.path)
            if target is not None:
                self.links[link.path] = target.path
                self.absent.discard(link.path)

    def check_size(self) -> None:
        """Raise Permanent if all of it together is too large."""
        if (total := self._size()) > self.bounds.size:
            raise Permanent(f"{next(iter(self.files))}: {total} bytes would be needed to render this, too many")

    def _size(self) -> int:
        total = sum(entry.size for entry in self.files.values())
        total += sum(self.files[source].size for source in self.copies.values() if source in self.files)
        return total + sum(graft._size() for graft in self.grafts.values())

    def items(self) -> Mapping[str, str]:
        """Path -> object id of all that is read: whole directories by their tree, other files by themselves."""
        found = dict(self.directories)
        for path, entry in self.files.items():
            if not any(below(path, directory) for directory in self.directories):
                found[path] = entry.oid
        for path in self.links:
            if not any(below(path, directory) for directory in self.directories):
                found[path] = self._link_oid(path)
        return found

    def _link_oid(self, path: str) -> str:
        entry = self.lookup.tree.entry(path)
        return entry.oid if entry is not None else ""

    def contents(self) -> dict[str, bytes]:
        """The content of every file, copies and grafts included, read in one round trip for each tree."""
        self.check_size()
        read = self.lookup.tree.read(self.files) if self.files else {}
        found = {**read, **{path: read[source] for path, source in self.copies.items()}}
        for place, graft in self.grafts.items():
            found |= {f"{place}/{path}": content for path, content in graft.contents().items()}
        return found
