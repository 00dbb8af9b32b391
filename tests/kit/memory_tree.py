"""A Tree made of a dictionary: the files of a commit for tests that need no Git."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from driftline.desired.tree import Entry, EntryKind
from driftline.model.errors import Permanent


@dataclass
class MemoryTree:
    """`files` by path, text or bytes; `links` are symbolic links, `submodules` paths of submodules.

    `calls` records each round trip that a real tree would make.
    """

    files: Mapping[str, str | bytes]
    links: Mapping[str, str] = field(default_factory=dict)
    submodules: frozenset[str] = frozenset()
    executable: frozenset[str] = frozenset()
    commit: str = "c0ffee" + "0" * 34
    calls: list[str] = field(default_factory=list)

    def _leaves(self) -> dict[str, Entry]:
        found = {}
        for path, content in self.files.items():
            kind = EntryKind.EXECUTABLE if path in self.executable else EntryKind.FILE
            found[path] = Entry(path, kind, _oid("blob", _bytes(content)), len(_bytes(content)))
        for path, target in self.links.items():
            found[path] = Entry(path, EntryKind.SYMLINK, _oid("link", target.encode()), len(target))
        for path in self.submodules:
            found[path] = Entry(path, EntryKind.SUBMODULE, _oid("commit", path.encode()))
        return found

    def _entry(self, path: str) -> Entry | None:
        leaves = self._leaves()
        if path in leaves:
            return leaves[path]
        inside = sorted((p, e.kind, e.oid) for p, e in leaves.items() if not path or p.startswith(path + "/"))
        if not inside and path:
            return None
        return Entry(path, EntryKind.DIRECTORY, _oid("tree", repr(inside).encode()))

    def oids(self, paths: Iterable[str]) -> Mapping[str, str]:
        self.calls.append("oids")
        entries = ((path, self._entry(path)) for path in paths)
        return {path: entry.oid for path, entry in entries if entry is not None}

    def entry(self, path: str) -> Entry | None:
        self.calls.append("entry")
        return self._entry(path)

    def list(self, path: str, recursive: bool = False) -> tuple[Entry, ...]:
        self.calls.append("list")
        prefix = path + "/" if path else ""
        below = [leaf for leaf in self._leaves() if leaf.startswith(prefix)]
        if not recursive:
            below = list({prefix + leaf[len(prefix) :].split("/")[0] for leaf in below})
        entries = (self._entry(leaf) for leaf in sorted(below))
        return tuple(entry for entry in entries if entry is not None)

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        self.calls.append("read")
        found = {}
        for path in paths:
            if path in self.links:
                found[path] = self.links[path].encode()
            elif path in self.files:
                found[path] = _bytes(self.files[path])
            else:
                raise Permanent(f"{path}: no such file in {self.commit[:12]}")
        return found


def _bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


def _oid(kind: str, content: bytes) -> str:
    return hashlib.sha1(kind.encode() + b"\0" + content).hexdigest()
