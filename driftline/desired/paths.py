"""Paths inside a repository: slashes, no leading slash, the root is the empty path; nothing leads out of it."""

import posixpath

from driftline.model.errors import Permanent


def join(base: str, reference: str) -> str:
    """The path that `reference`, as written in a file of directory `base`, stands for.

    Raises Permanent for an absolute path, one that leaves the repository, or one that is no path at all.
    """
    if not reference or "\0" in reference or "\\" in reference:
        raise Permanent(f"{reference!r} is no path")
    if reference.startswith("/"):
        raise Permanent(f"{reference}: is absolute; write it relative to this directory")
    return inside(posixpath.join(base, reference), reference)


def inside(path: str, shown: str = "") -> str:
    """A path of the repository in its shortest form. Raises Permanent if it leads out of the repository."""
    found = posixpath.normpath(path.lstrip("/")) if path.strip("/") else "."
    if found == ".." or found.startswith("../") or "\0" in found:
        raise Permanent(f"{shown or path}: leads out of the repository")
    return "" if found == "." else found


def below(path: str, directory: str) -> bool:
    """Whether `path` is `directory` or lies under it."""
    return not directory or path == directory or path.startswith(directory + "/")


def parent(path: str) -> str:
    return path.rpartition("/")[0]


def name(path: str) -> str:
    return path.rpartition("/")[2]
