"""The objects of one mirror: commits, trees (remembered, they never change) and file contents."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from driftline.adapters.git.objects import Ambiguous, Blob, Info, Readers
from driftline.adapters.git.parse import Named, parse_parents, parse_tree
from driftline.model.errors import Permanent, Temporary

_REMEMBERED = 100_000
"""Lines of trees that are remembered for one mirror."""
_STEPS_BACK = 64

Fetch = Callable[[Collection[str]], None]
"""Brings missing file contents into the mirror. Raises Temporary or Permanent."""


class Database:
    """Reads objects of one mirror; `shown` names the repository in errors. Safe for threads."""

    def __init__(self, git_dir: Path, readers: Readers, shown: str) -> None:
        self._git_dir, self._readers, self.shown = git_dir, readers, shown
        self._guard = threading.Lock()
        self._trees: OrderedDict[str, tuple[Named, ...]] = OrderedDict()
        self._lines = 0
        self._peeled: dict[str, str] = {}

    def infos(self, names: Sequence[str]) -> list[Info | None]:
        with self._readers.use(self._git_dir) as reader:
            return reader.infos(names)

    def contains(self, commit: str) -> bool:
        """Whether the commit is here."""
        info = self.infos([commit])[0]
        return info is not None and info.type == "commit"

    def complete(self, short: str) -> str | None:
        """The whole id of the one commit that starts with `short`. Raises Permanent if there are several."""
        try:
            info = self.infos([f"{short}^{{commit}}"])[0]
            if info is None:
                # With a type behind it, git calls an ambiguous name missing; only the bare one tells.
                self.infos([short])
        except Ambiguous as error:
            raise Permanent(f"{self.shown}: the short commit id {short} is ambiguous; give more of it") from error
        # Git looks for a ref of that name before it looks for an object.
        return info.oid if info and info.oid.startswith(short) else None

    def commit(self, commit: str) -> bytes:
        """The content of a commit object. Raises Permanent if the mirror does not have it."""
        with self._readers.use(self._git_dir) as reader:
            found = reader.contents([commit])[0]
        if found is None or found.info.type != "commit" or found.content is None:
            raise Permanent(f"{self.shown}: there is no commit {commit[:12]}; was it removed from the Git host?")
        return found.content

    def peel(self, refs: dict[str, str], known: dict[str, str]) -> dict[str, str]:
        """The same refs, annotated tags replaced by their commits; a ref to anything but a commit is left out."""
        unknown = sorted({oid for oid in refs.values() if oid not in self._peeled and oid not in known})
        if unknown:
            for oid, info in zip(unknown, self.infos([f"{oid}^{{commit}}" for oid in unknown]), strict=True):
                self._peeled[oid] = info.oid if info else ""
        peeled = {name: known.get(oid) or self._peeled.get(oid, "") for name, oid in refs.items()}
        return {name: oid for name, oid in peeled.items() if oid}

    def trees(self, oids: Iterable[str]) -> dict[str, tuple[Named, ...]]:
        """The lines of the given trees. Raises Temporary for one that is not here, Permanent for a malformed one."""
        wanted = list(dict.fromkeys(oids))
        found: dict[str, tuple[Named, ...]] = {}
        with self._guard:
            for oid in wanted:
                if oid in self._trees:
                    self._trees.move_to_end(oid)
                    found[oid] = self._trees[oid]
        missing = [oid for oid in wanted if oid not in found]
        if missing:
            with self._readers.use(self._git_dir) as reader:
                for oid, blob in zip(missing, reader.contents(missing), strict=True):
                    found[oid] = self._parse(oid, blob)
        return found

    def blobs(self, oids: Iterable[str], fetch: Fetch | None) -> dict[str, Blob]:
        """The given blobs; those not here are fetched together, once. Raises Temporary if some stay missing."""
        wanted = list(dict.fromkeys(oids))
        found = self._blobs(wanted)
        missing = [oid for oid in wanted if oid not in found]
        if missing and fetch:
            fetch(missing)
            found |= self._blobs(missing)
            missing = [oid for oid in missing if oid not in found]
        if missing:
            raise Temporary(f"{self.shown}: {len(missing)} objects are missing in the mirror, {missing[0][:12]} first")
        return found

    def sizes(self, oids: Sequence[str]) -> dict[str, int]:
        """Sizes of the blobs that are here."""
        return {info.oid: info.size for info in self.infos(oids) if info}

    def descends(self, older: str, newer: str) -> bool | None:
        """Whether `newer` has `older` in its history; None if the last steps do not tell."""
        seen, front = {newer}, [newer]
        for _ in range(_STEPS_BACK):
            if older in seen:
                return True
            if not front:
                return False
            with self._readers.use(self._git_dir) as reader:
                contents = reader.contents(front)
            parents = {parent for blob in contents if blob and blob.content for parent in parse_parents(blob.content)}
            front = sorted(parents - seen)
            seen |= parents
        return None

    def _blobs(self, oids: Sequence[str]) -> dict[str, Blob]:
        with self._readers.use(self._git_dir) as reader:
            return {oid: blob for oid, blob in zip(oids, reader.contents(oids), strict=True) if blob}

    def _parse(self, oid: str, blob: Blob | None) -> tuple[Named, ...]:
        if blob is None:
            raise Temporary(f"{self.shown}: tree {oid[:12]} is missing in the mirror")
        try:
            lines = parse_tree(blob.content or b"", len(oid) // 2)
        except ValueError as error:
            raise Permanent(f"{self.shown}: tree {oid[:12]} holds a name that no file can have") from error
        with self._guard:
            if oid not in self._trees:
                self._trees[oid] = lines
                self._lines += len(lines)
            while self._lines > _REMEMBERED and len(self._trees) > 1:
                _, gone = self._trees.popitem(last=False)
                self._lines -= len(gone)
        return lines
