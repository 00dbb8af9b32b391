"""The archives of charts, each kept once under its digest. Several processes of one machine share the directory."""

import hashlib
import os
import re
import tempfile
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import orjson

from driftline.adapters.charts.archive import unpack
from driftline.adapters.charts.chart import Chart
from driftline.adapters.charts.settings import ChartSettings
from driftline.adapters.charts.tree import ChartTree, Listing, file_id
from driftline.model.errors import Permanent, Temporary

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LISTINGS = 256
"""Lists of files that one process remembers."""
_PIECE = 256 * 1024


class Incoming:
    """An archive on its way in: a file without a name yet, and the digest of what it holds so far."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, piece: bytes) -> None:
        self._hash.update(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(self._handle, view) :]


class Archives:
    """Safe for threads and processes: what has a name here is complete, and never changes."""

    def __init__(self, root: Path, scratch: Path, settings: ChartSettings) -> None:
        self._root, self._scratch, self._settings = root, scratch, settings
        self._lock = Lock()
        self._listings: OrderedDict[str, Listing] = OrderedDict()

    @contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """A place to write an archive to; gone afterwards unless it was kept."""
        handle, name = tempfile.mkstemp(dir=self._scratch, suffix=".tgz")
        try:
            yield Incoming(Path(name), handle)
        finally:
            os.close(handle)
            Path(name).unlink(missing_ok=True)

    def keep(self, incoming: Incoming, shown: str, artifact: str = "") -> Chart:
        """Give an archive its name, once it is seen to be a sound chart. Raises Permanent if it is not.

        One that is no chart but an artifact is named by its manifest's digest, which `artifact` is then.
        """
        with open(incoming.path, "rb") as file:
            unpacked = unpack(iter(lambda: file.read(_PIECE), b""), shown, self._settings, bool(artifact))
        files = {path: (file_id(content), len(content)) for path, content in unpacked.files.items()}
        kept = Chart(unpacked.name, unpacked.version or artifact, artifact or incoming.digest)
        archive, listed = self._paths(kept.digest)
        archive.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = incoming.path.with_suffix(".json")
        draft.write_bytes(orjson.dumps([kept.name, kept.version, files, sorted(unpacked.links)]))
        os.replace(draft, listed)
        os.replace(incoming.path, archive)
        return kept

    def contains(self, digest: str) -> bool:
        """Whether a chart is here."""
        return all(path.exists() for path in self._paths(digest))

    def chart(self, digest: str) -> Chart | None:
        """What is known of a chart that is here, None if it is not."""
        try:
            listing = self._listing(digest)
        except FileNotFoundError:
            return None
        try:
            os.utime(self._paths(digest)[0])
        except FileNotFoundError:
            return None
        return Chart(listing.name, listing.version, digest)

    def tree(self, digest: str) -> ChartTree:
        """The files of a chart. They stay readable from this tree, also when housekeeping removes the chart.

        Raises Temporary if the chart is not here (any more).
        """
        archive, _ = self._paths(digest)
        shown = f"chart {digest[:19]}"
        try:
            handle = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Temporary(f"{shown}: is not here any more; it is pulled again with the next fetch") from None
        try:
            os.utime(handle)
            listing = self._listing(digest)
        except FileNotFoundError:
            os.close(handle)
            raise Temporary(f"{shown}: is not here any more; it is pulled again with the next fetch") from None
        shown = f"{listing.name}-{listing.version}" if listing.name else f"artifact {digest[:19]}"
        tree = ChartTree(shown, listing, lambda: self._contents(handle, archive, listing, shown))
        weakref.finalize(tree, os.close, handle)
        return tree

    def drop_unused(self, seconds: float, quota: int) -> tuple[int, int]:
        """Remove archives that nobody used for so long, then the least recently used ones above `quota` bytes.

        Returns how many went, and the bytes that are left. Trees that are open stay readable.
        """
        found = []
        for archive in self._root.glob("*/*.tgz"):
            try:
                state = archive.stat()
            except FileNotFoundError:
                continue
            found.append((state.st_mtime, state.st_size, archive))
        left = sum(size for _, size, _ in found)
        limit = time.time() - seconds
        dropped = 0
        for used, size, archive in sorted(found):
            if used >= limit and left <= quota:
                break
            archive.unlink(missing_ok=True)
            archive.with_suffix(".json").unlink(missing_ok=True)
            left -= size
            dropped += 1
        return dropped, left

    def _contents(self, handle: int, archive: Path, listing: Listing, shown: str) -> Mapping[str, bytes]:
        """All files of an archive. What the disk has damaged is removed, so that it is pulled again."""
        try:
            found = unpack(_pieces(handle), shown, self._settings, artifact=not listing.name).files
        except Permanent:
            found = {}
        if {path: (file_id(content), len(content)) for path, content in found.items()} != dict(listing.files):
            archive.unlink(missing_ok=True)
            raise Temporary(f"{shown}: its archive was damaged on this disk; it is pulled again")
        return found

    def _listing(self, digest: str) -> Listing:
        with self._lock:
            if digest in self._listings:
                self._listings.move_to_end(digest)
                return self._listings[digest]
        name, version, files, links = orjson.loads(self._paths(digest)[1].read_bytes())
        listing = Listing(name, version, {path: (oid, size) for path, (oid, size) in files.items()}, frozenset(links))
        with self._lock:
            self._listings[digest] = listing
            while len(self._listings) > _LISTINGS:
                self._listings.popitem(last=False)
        return listing

    def _paths(self, digest: str) -> tuple[Path, Path]:
        """Archive and list of files. Raises Permanent for what is no digest: it would be a path."""
        if not _DIGEST.fullmatch(digest):
            raise Permanent(f"{digest[:80]!r}: is no digest of a chart; want sha256: and 64 hex digits")
        plain = digest.removeprefix("sha256:")
        directory = self._root / plain[:2]
        return directory / f"{plain}.tgz", directory / f"{plain}.json"


def _pieces(handle: int) -> Iterator[bytes]:
    """The whole file, whoever else reads it."""
    position = 0
    while piece := os.pread(handle, _PIECE, position):
        position += len(piece)
        yield piece
