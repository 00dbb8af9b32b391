"""Reads Git's object formats: trees and commits. Pure; input comes from other people's repositories."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from driftline.desired.tree import EntryKind

_KINDS = {
    "40000": EntryKind.DIRECTORY,
    "040000": EntryKind.DIRECTORY,
    "120000": EntryKind.SYMLINK,
    "160000": EntryKind.SUBMODULE,
}
_LATEST = 253402300799
"""The last second of the year 9999."""


@dataclass(frozen=True)
class CommitInfo:
    """Who wrote a commit, when (aware), and what they said. `subject` is the first line of `message`."""

    author_name: str
    author_email: str
    authored_at: datetime
    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class Named:
    """One line of a tree object."""

    name: str
    kind: EntryKind
    oid: str


def parse_tree(content: bytes, id_length: int) -> tuple[Named, ...]:
    """The lines of a tree object in Git's order; `id_length` is 20 or 32 bytes. Raises ValueError if it is no tree.

    Names that no file system would take (`..`, `a/b`) are errors: somebody made them on purpose.
    """
    lines = []
    position = 0
    while position < len(content):
        blank = content.index(b" ", position)
        end = content.index(b"\0", blank)
        mode, name = (
            content[position:blank].decode("ascii"),
            content[blank + 1 : end].decode("utf-8", "surrogateescape"),
        )
        position = end + 1 + id_length
        if not name or name in (".", "..", ".git") or "/" in name or position > len(content):
            raise ValueError("malformed tree")
        lines.append(Named(name, _kind(mode), content[end + 1 : position].hex()))
    return tuple(lines)


def _kind(mode: str) -> EntryKind:
    if mode in _KINDS:
        return _KINDS[mode]
    return EntryKind.EXECUTABLE if int(mode, 8) & 0o100 else EntryKind.FILE


def parse_parents(content: bytes) -> Iterator[str]:
    """The ids of a commit's parents."""
    for line in content.partition(b"\n\n")[0].split(b"\n"):
        if line.startswith(b"parent "):
            yield line[7:].decode("ascii")


def parse_commit_tree(content: bytes) -> str:
    """The id of a commit's root tree. Raises ValueError if there is none."""
    line, _, _ = content.partition(b"\n")
    if not line.startswith(b"tree "):
        raise ValueError("malformed commit")
    return line[5:].decode("ascii")


def parse_commit(content: bytes) -> CommitInfo:
    """Author and message of a commit. Never fails on what people wrote: odd bytes are replaced, a bad date is 1970."""
    head, _, body = content.partition(b"\n\n")
    author, encoding = b"", "utf-8"
    for line in head.split(b"\n"):
        if line.startswith(b"author ") and not author:
            author = line[7:]
        elif line.startswith(b"encoding "):
            encoding = line[9:].decode("ascii", "replace").strip()
    text = _decode(body, encoding)
    who, _, when = _decode(author, encoding).rpartition("> ")
    name, _, email = who.partition(" <")
    return CommitInfo(name.strip(), email, _moment(when), text.strip().partition("\n")[0].strip(), text)


def _decode(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding, "replace")
    except (LookupError, UnicodeError):
        return content.decode("utf-8", "replace")


def _moment(text: str) -> datetime:
    seconds, _, zone = text.strip().partition(" ")
    try:
        moment = datetime.fromtimestamp(min(int(seconds), _LATEST), UTC)
        minutes = int(zone[-4:-2]) * 60 + int(zone[-2:])
        return moment.astimezone(timezone(timedelta(minutes=-minutes if zone.startswith("-") else minutes)))
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
