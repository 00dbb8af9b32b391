"""Which files of a directory are its manifests (GEN-04). Called by the renderer of plain directories."""

from dataclasses import dataclass

from driftline.desired.globs import matches
from driftline.desired.lookup import Lookup
from driftline.desired.paths import name
from driftline.desired.tree import Entry, EntryKind
from driftline.model.application import DirectoryOptions
from driftline.model.errors import Permanent

SUFFIXES = (".yaml", ".yml", ".json", ".jsonnet")
OVERRIDES_PREFIX = ".argocd-source"


@dataclass(frozen=True)
class Chosen:
    """A file to be read. `path` is its place in the directory as people know it, `real` what a link led to."""

    path: str
    real: str
    oid: str
    size: int


@dataclass(frozen=True)
class Selection:
    """The chosen files by path, the links outside the directory that led to some, and what was passed over."""

    files: tuple[Chosen, ...]
    links: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def select(lookup: Lookup, directory: str, options: DirectoryOptions, size_limit: int) -> Selection:
    """The manifests of `directory`. Raises Permanent for links out of the repository and for too much content."""
    chosen: list[Chosen] = []
    outside: list[str] = []
    warnings: list[str] = []
    for entry in lookup.tree.list(directory, recursive=True) if options.recurse else lookup.list(directory):
        relative = entry.path[len(directory) :].lstrip("/")
        if entry.kind in (EntryKind.DIRECTORY, EntryKind.SUBMODULE) or not wanted(relative, options):
            continue
        if entry.kind is not EntryKind.SYMLINK:
            chosen.append(Chosen(entry.path, entry.path, entry.oid, entry.size))
        elif (target := _target(lookup, entry)) is None:
            warnings.append(f"{entry.path}: symbolic link to nothing, passed over")
        elif target.kind in (EntryKind.FILE, EntryKind.EXECUTABLE):
            chosen.append(Chosen(entry.path, target.path, target.oid, target.size))
            outside.append(target.path)
    total = sum(file.size for file in chosen)
    if total > size_limit:
        raise Permanent(f"{directory or '.'}: its manifests hold {total} bytes, more than the limit of {size_limit}")
    return Selection(tuple(sorted(chosen, key=lambda file: file.path)), tuple(outside), tuple(warnings))


def wanted(relative: str, options: DirectoryOptions) -> bool:
    """Whether a file, by its path relative to the directory, is a manifest; `exclude` wins over `include`."""
    if not relative.endswith(SUFFIXES) and not (options.disable_extension_filter and options.include):
        return False
    if name(relative).startswith(OVERRIDES_PREFIX):
        return False
    if options.exclude and matches(options.exclude, relative):
        return False
    return not options.include or matches(options.include, relative)


def _target(lookup: Lookup, link: Entry) -> Entry | None:
    found = lookup.find(link.path)
    return None if found is None else found.entry
