"""What stands at a path of a tree once symbolic links are followed, never out of its root. Called by the renderers."""

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field

from driftline.desired.paths import inside, parent
from driftline.desired.tree import Entry, EntryKind, Tree
from driftline.model.errors import Permanent

_MOST_LINKS = 40


@dataclass(frozen=True)
class Found:
    """An entry that is no link. `path` is where it really stands, `links` the link entries followed on the way."""

    path: str
    entry: Entry
    links: tuple[Entry, ...] = ()

    @property
    def directory(self) -> bool:
        return self.entry.kind is EntryKind.DIRECTORY

    @property
    def file(self) -> bool:
        return self.entry.kind in (EntryKind.FILE, EntryKind.EXECUTABLE)


@dataclass
class Lookup:
    """Finds entries of one tree, and remembers the directories that it listed."""

    tree: Tree
    _listed: dict[str, dict[str, Entry]] = field(default_factory=dict)

    def list(self, path: str) -> tuple[Entry, ...]:
        """The entries of a directory, by name."""
        if path not in self._listed:
            self._listed[path] = {entry.path: entry for entry in self.tree.list(path)}
        return tuple(self._listed[path].values())

    def find(self, path: str) -> Found | None:
        """What stands at `path`, None for nothing, a dangling link included.

        Raises Permanent for a link that leads out of the repository or in circles.
        """
        links: list[Entry] = []
        place = path
        while True:
            entry = self._entry(place)
            link = entry if entry is not None and entry.kind is EntryKind.SYMLINK else None
            if entry is None and (link := self._link_above(place)) is None:
                return None
            if link is None:
                assert entry is not None
                return Found(place, entry, tuple(links))
            links.append(link)
            if len(links) > _MOST_LINKS:
                raise Permanent(f"{path}: symbolic links lead in circles")
            place = posixpath.join(self._target(link), posixpath.relpath(place, link.path))
            place = inside(place, path)

    def _entry(self, path: str) -> Entry | None:
        above = self._listed.get(parent(path))
        if above is not None and path:
            return above.get(path)
        return self.tree.entry(path)

    def _link_above(self, path: str) -> Entry | None:
        """The first directory of a path that is really a link."""
        parts = path.split("/")
        for depth in range(1, len(parts)):
            entry = self._entry("/".join(parts[:depth]))
            if entry is None:
                return None
            if entry.kind is EntryKind.SYMLINK:
                return entry
        return None

    def _target(self, link: Entry) -> str:
        """Where a link points, as a path of the repository. What it says outside is never shown."""
        text = self.tree.read([link.path])[link.path].decode("utf-8", "surrogateescape")
        if text.startswith("/") or "\0" in text:
            raise Permanent(f"{link.path}: this symbolic link leads out of the repository")
        try:
            return inside(posixpath.join(parent(link.path), text), link.path)
        except Permanent:
            raise Permanent(f"{link.path}: this symbolic link leads out of the repository") from None


def oids(tree: Tree, paths: Iterable[str]) -> dict[str, str]:
    """The object ids of paths, with empty text for what does not exist, so that its appearance is noticed too."""
    wanted = list(dict.fromkeys(paths))
    found = tree.oids(wanted) if wanted else {}
    return {path: found.get(path, "") for path in wanted}
