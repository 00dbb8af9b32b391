"""The files of one commit, as the rooms see them; `adapters.git` and a local directory provide it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class EntryKind(StrEnum):
    FILE = "file"
    EXECUTABLE = "executable"
    SYMLINK = "symlink"
    DIRECTORY = "directory"
    SUBMODULE = "submodule"


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a tree. `path` is relative to the repository root, without leading or trailing slash."""

    path: str
    kind: EntryKind
    oid: str
    size: int = 0


class Tree(Protocol):
    """A read-only tree of files. Paths are relative to its root; the root itself is the empty path."""

    @property
    def commit(self) -> str:
        """The commit's full object id, or a stand-in for a local directory."""

    def oids(self, paths: Iterable[str]) -> Mapping[str, str]:
        """The object ids of the given paths, in one round trip; a path that does not exist is left out."""

    def entry(self, path: str) -> Entry | None:
        """What stands at `path`; symbolic links are not followed."""

    def list(self, path: str, recursive: bool = False) -> tuple[Entry, ...]:
        """The entries of a directory by name (recursive: files, links and submodules of all directories below)."""

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """The content of files, in one round trip; a symbolic link reads as the text of its target.

        Raises Permanent for a path that is neither.
        """
