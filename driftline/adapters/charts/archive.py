"""Read a chart's archive: gzip and tar with bounds of size, ratio and count, and nothing that could lead elsewhere."""

import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from driftline.adapters.charts.settings import ChartSettings
from driftline.adapters.http.gunzip import NotGzip, gunzipped
from driftline.desired.chartfile import plain_name
from driftline.desired.tools import CHART
from driftline.formats.yaml import Limits, load_documents
from driftline.model.errors import Permanent

_DRIVE = re.compile(r"[A-Za-z]:")
_LIMITS = Limits(size=1024 * 1024)


@dataclass(frozen=True)
class Unpacked:
    """A chart's files by path below its own directory, and what its Chart.yaml calls it."""

    name: str
    version: str
    files: dict[str, bytes]


def unpack(pieces: Iterable[bytes], shown: str, settings: ChartSettings) -> Unpacked:
    """Unpack a chart that arrives in pieces. Raises Permanent, `shown` first, for one that is no sound chart."""
    source = _Source(pieces, shown, settings)
    try:
        files = dict(_files(source, shown, settings))
    except NotGzip:
        raise Permanent(f"{shown}: is no gzip archive, or a damaged one") from None
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError):
        raise Permanent(f"{shown}: is no tar archive, or a damaged one") from None
    tops = {path.partition("/")[0] for path in files}
    if len(tops) != 1 or any("/" not in path for path in files):
        raise Permanent(f"{shown}: want one directory at the top of the archive, named after the chart")
    top = tops.pop()
    for path in files:
        if any(files.get(above) is not None for above in _above(path)):
            raise Permanent(f"{shown}: {_quoted(path)}: lies below something that is a file")
    inner = {path[len(top) + 1 :]: content for path, content in files.items()}
    return _named(inner, top, shown)


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


def _files(source: "_Source", shown: str, settings: ChartSettings) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    # A stream: an archive whose headers lie about offsets cannot make the reader go back.
    with tarfile.open(fileobj=source, mode="r|", encoding="utf-8", errors="surrogateescape") as archive:  # type: ignore[call-overload]
        for count, member in enumerate(archive):
            if count >= settings.files:
                raise Permanent(f"{shown}: holds more than {settings.files} entries")
            path = _safe(member.name, shown)
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise Permanent(f"{shown}: {_quoted(member.name)}: is {_kind(member)}; only plain files are allowed")
            if not 0 <= member.size <= settings.file_size:
                raise Permanent(f"{shown}: {_quoted(path)}: is larger than {settings.file_size} bytes")
            if path in seen:
                raise Permanent(f"{shown}: {_quoted(path)}: is there twice")
            seen.add(path)
            file = archive.extractfile(member)
            content = file.read() if file is not None else b""
            if len(content) != member.size:
                raise EOFError
            yield path, content
    source.finish()


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

    def __init__(self, pieces: Iterable[bytes], shown: str, settings: ChartSettings) -> None:
        self._shown, self._settings = shown, settings
        self._packed = self._unpacked = 0
        self._made = gunzipped(self._counted(pieces))
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
