"""Read a chart's archive: gzip and tar with bounds of size, ratio and count, and nothing that could lead elsewhere."""

import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from driftline.adapters.charts.settings import ChartSettings
from driftline.adapters.http.gunzip import NotGzip, gunzipped
from driftline.desired.chartfile import plain_name
from driftline.desired.paths import inside
from driftline.desired.tools import CHART
from driftline.formats.yaml import Limits, load_documents
from driftline.model.errors import Permanent

_GZIP = b"\x1f\x8b"
_DRIVE = re.compile(r"[A-Za-z]:")
_LIMITS = Limits(size=1024 * 1024)


@dataclass(frozen=True)
class Unpacked:
    """A chart's files by path below its own directory, and what its Chart.yaml calls it.

    An artifact has no name and no version, and its paths begin at the archive's root. Those of `links` are symbolic
    links, whose content is where they lead: to another place inside.
    """

    name: str
    version: str
    files: dict[str, bytes]
    links: frozenset[str] = frozenset()


def unpack(pieces: Iterable[bytes], shown: str, settings: ChartSettings, artifact: bool = False) -> Unpacked:
    """Unpack a chart that arrives in pieces. Raises Permanent, `shown` first, for one that is no sound chart.

    An `artifact` is any archive of files, packed by gzip or not.
    """
    source = _Source(pieces, shown, settings, artifact)
    try:
        found = list(_members(source, shown, settings, artifact))
    except NotGzip:
        raise Permanent(f"{shown}: is no gzip archive, or a damaged one") from None
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError):
        raise Permanent(f"{shown}: is no tar archive, or a damaged one") from None
    files = {path: content for path, content, _ in found}
    for path in files:
        if any(above in files for above in _above(path)):
            raise Permanent(f"{shown}: {_quoted(path)}: lies below something that is a file")
    if artifact:
        return Unpacked("", "", files, frozenset(path for path, _, link in found if link))
    tops = {path.partition("/")[0] for path in files}
    if len(tops) != 1 or any("/" not in path for path in files):
        raise Permanent(f"{shown}: want one directory at the top of the archive, named after the chart")
    top = tops.pop()
    return _named({path[len(top) + 1 :]: content for path, content in files.items()}, top, shown)


def _named(files: dict[str, bytes], top: str, shown: str) -> Unpacked:
    if CHART not in files:
        raise Permanent(f"{shown}: has no {CHART} in its directory; is it a Helm chart?")
    documents = load_documents(files[CHART], f"{shown}: {CHART}", _LIMITS)
    metadata = documents[0] if len(documents) == 1 and isinstance(documents[0], dict) else {}
    name, version = metadata.get("name"), metadata.get("version")
    if not isinstance(name, str) or not plain_name(name) or not isinstance(version, str):
        raise Permanent(f"{shown}: {CHART}: want a name that is no path, and a version")
    if name != top:
        raise Permanent(f"{shown}: its directory is {_quoted(top)}, its {CHART} says {_quoted(name)}; package it again")
    return Unpacked(name, version, files)


def _members(source: "_Source", shown: str, settings: ChartSettings, links: bool) -> Iterator[tuple[str, bytes, bool]]:
    """Path and content of each file, and whether it is a link."""
    seen: set[str] = set()
    # A stream: an archive whose headers lie about offsets cannot make the reader go back.
    with tarfile.open(fileobj=source, mode="r|", encoding="utf-8", errors="surrogateescape") as archive:  # type: ignore[call-overload]
        for count, member in enumerate(archive):
            if count >= settings.files:
                raise Permanent(f"{shown}: holds more than {settings.files} entries")
            path = _safe(member.name, shown)
            if member.isdir():
                continue
            if path in seen or not path:
                raise Permanent(f"{shown}: {_quoted(path)}: is there twice")
            seen.add(path)
            if links and member.issym():
                yield path, _target(path, member.linkname, shown), True
                continue
            if not member.isreg() or member.issparse():
                raise Permanent(f"{shown}: {_quoted(member.name)}: is {_kind(member)}; only plain files are allowed")
            if not 0 <= member.size <= settings.file_size:
                raise Permanent(f"{shown}: {_quoted(path)}: is larger than {settings.file_size} bytes")
            file = archive.extractfile(member)
            content = file.read() if file is not None else b""
            if len(content) != member.size:
                raise EOFError
            yield path, content, False
    source.finish()


def _target(path: str, target: str, shown: str) -> bytes:
    """Where a symbolic link leads. Raises Permanent if that is outside."""
    try:
        if target.startswith("/"):
            raise Permanent("")
        inside(f"{path.rpartition('/')[0]}/{target}", path)
        return target.encode()
    except (Permanent, UnicodeEncodeError):
        raise Permanent(f"{shown}: {_quoted(path)}: this symbolic link leads out of the archive") from None


def _safe(name: str, shown: str) -> str:
    """The path of a member, `./` taken away. Raises Permanent for one that could lead out of the directory."""
    if any("\ud800" <= char <= "\udfff" for char in name):
        raise Permanent(f"{shown}: {_quoted(name)}: is no UTF-8 text")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or _DRIVE.match(name):
        raise Permanent(f"{shown}: {_quoted(name)}: leads out of the archive")
    return "/".join(parts)


def _above(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))


def _kind(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return "a link"
    return "a sparse file" if member.issparse() else "a device or pipe"


def _quoted(text: str) -> str:
    return repr(text[:120])


class _Source:
    """The unpacked bytes as a file to read from; stops at the bounds."""

    def __init__(self, pieces: Iterable[bytes], shown: str, settings: ChartSettings, plain: bool) -> None:
        """`plain`: the bytes may as well not be packed."""
        self._shown, self._settings = shown, settings
        self._packed = self._unpacked = 0
        counted = self._counted(pieces)
        first = next(counted, b"")
        whole = chain([first], counted)
        self._made: Iterator[bytes] = whole if plain and not first.startswith(_GZIP) else gunzipped(whole)
        self._buffer = b""

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size and (piece := next(self._made, b"")):
            self._take(piece)
            self._buffer += piece
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def finish(self) -> None:
        """Read what is left: a damaged end is noticed, and a bomb behind the last member as well."""
        for piece in self._made:
            self._take(piece)

    def _take(self, piece: bytes) -> None:
        settings = self._settings
        self._unpacked += len(piece)
        if self._unpacked > settings.unpacked_size:
            raise Permanent(f"{self._shown}: unpacks to more than {settings.unpacked_size} bytes")
        if self._unpacked > settings.ratio_above and self._unpacked > settings.ratio * self._packed:
            raise Permanent(f"{self._shown}: unpacks to more than {settings.ratio} times its size, as no chart does")

    def _counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._packed += len(piece)
            yield piece
