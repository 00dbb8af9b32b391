"""The files of one commit, read from a mirror: what `driftline.desired` and the renderers see."""

from collections.abc import Iterable, Mapping

from driftline.adapters.git.database import Database, Fetch
from driftline.adapters.git.parse import Named, parse_commit_tree
from driftline.desired.tree import Entry, EntryKind
from driftline.model.errors import Permanent

_FILES = (EntryKind.FILE, EntryKind.EXECUTABLE)


class GitTree:
    """Implements `driftline.desired.tree.Tree`. Safe for threads; holds no process and no file open."""

    def __init__(self, database: Database, commit: str, fetch: Fetch | None) -> None:
        """`fetch` brings contents that a partial mirror left out. Raises Permanent if there is no such commit."""
        self._database, self._commit, self._fetch = database, commit, fetch
        try:
            self._root = Named("", EntryKind.DIRECTORY, parse_commit_tree(database.commit(commit)))
        except ValueError as error:
            raise Permanent(f"{self._shown}: is malformed") from error

    @property
    def commit(self) -> str:
        return self._commit

    def oids(self, paths: Iterable[str]) -> Mapping[str, str]:
        return {path: named.oid for path, named in self._find(paths).items()}

    def entry(self, path: str) -> Entry | None:
        named = self._find([path]).get(path)
        return self._entries({path: named})[0] if named else None

    def list(self, path: str, recursive: bool = False) -> tuple[Entry, ...]:
        """Raises Permanent if `path` is no directory."""
        top = self._find([path]).get(path)
        if top is None or top.kind is not EntryKind.DIRECTORY:
            raise Permanent(f"{self._shown}: {path or '/'}: is not a directory; check the application's path")
        found: dict[str, Named] = {}
        front = {path: top.oid}
        while front:
            trees = self._database.trees(front.values())
            children = {
                f"{parent}/{line.name}" if parent else line.name: line
                for parent, oid in front.items()
                for line in trees[oid]
            }
            directories = {child: line for child, line in children.items() if line.kind is EntryKind.DIRECTORY}
            if recursive:
                found |= {child: line for child, line in children.items() if child not in directories}
            else:
                found |= children
            front = {child: line.oid for child, line in directories.items()} if recursive else {}
        return tuple(sorted(self._entries(found), key=lambda entry: entry.path))

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """A symbolic link reads as the text that it holds. Raises Permanent for other than files, or one too large."""
        wanted = list(paths)
        named = self._find(wanted)
        for path in wanted:
            if path not in named or named[path].kind not in (*_FILES, EntryKind.SYMLINK):
                what = "does not exist" if path not in named else f"is a {named[path].kind}, not a file"
                raise Permanent(f"{self._shown}: {path}: {what}")
        blobs = self._database.blobs((found.oid for found in named.values()), self._fetch)
        contents = {}
        for path in wanted:
            blob = blobs[named[path].oid]
            if blob.content is None:
                raise Permanent(f"{self._shown}: {path}: {blob.info.size} bytes are more than a file may have")
            contents[path] = blob.content
        return contents

    @property
    def _shown(self) -> str:
        return f"{self._database.shown}@{self._commit[:12]}"

    def _entries(self, named: Mapping[str, Named]) -> tuple[Entry, ...]:
        sizes = self._database.sizes([found.oid for found in named.values() if found.kind in _FILES])
        return tuple(Entry(path, found.kind, found.oid, sizes.get(found.oid, 0)) for path, found in named.items())

    def _find(self, paths: Iterable[str]) -> dict[str, Named]:
        """What stands at each path, one level of all of them at a time; what does not exist is left out."""
        found: dict[str, Named] = {}
        front: dict[str, tuple[Named, list[str]]] = {}
        for path in paths:
            front[path] = (self._root, path.split("/") if path else [])
        while front:
            found |= {path: at for path, (at, rest) in front.items() if not rest}
            going = {path: (at, rest) for path, (at, rest) in front.items() if rest and at.kind is EntryKind.DIRECTORY}
            trees = self._database.trees(at.oid for at, _ in going.values())
            names = {oid: {line.name: line for line in lines} for oid, lines in trees.items()}
            front = {
                path: (line, rest[1:])
                for path, (at, rest) in going.items()
                if (line := names[at.oid].get(rest[0])) is not None
            }
        return found
