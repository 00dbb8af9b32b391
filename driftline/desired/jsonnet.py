"""What a Jsonnet file imports. The language allows only literal texts there, so nothing has to run to find them."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from driftline.desired.paths import join, parent
from driftline.model.errors import Permanent

_IMPORT = re.compile(
    r"""\bimport(?:str|bin)?\s*(?:@"((?:[^"]|"")*)"|@'((?:[^']|'')*)'|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')"""
)
_ESCAPE = re.compile(r"\\(.)")
_MOST_FILES = 2000


def imports(text: str) -> Iterator[str]:
    """Every name that follows an `import`, `importstr` or `importbin`; some may stand in comments."""
    for match in _IMPORT.finditer(text):
        verbatim = match[1] if match[1] is not None else match[2]
        if verbatim is not None:
            yield verbatim.replace('""', '"').replace("''", "'")
        else:
            yield _ESCAPE.sub(r"\1", match[3] if match[3] is not None else match[4])


def places(importer: str, name: str, search: tuple[str, ...]) -> Iterator[str]:
    """Where an import may lie: beside the file that imports it, then in each directory of the search path."""
    for base in (parent(importer), *search):
        try:
            yield join(base, name)
        except Permanent:
            continue


@dataclass(frozen=True)
class Closure:
    """The files that Jsonnet may read, and the paths that would come first if they existed."""

    files: Mapping[str, bytes]
    absent: tuple[str, ...]


def closure(
    mains: Mapping[str, bytes], search: tuple[str, ...], read: Callable[[list[str]], Mapping[str, bytes]]
) -> Closure:
    """Everything that `mains` import, directly or not. `read` gives the content of those paths that are files.

    Raises Permanent beyond 2,000 files.
    """
    known = dict(mains)
    absent: dict[str, None] = {}
    fresh = dict(mains)
    while fresh:
        wanted: dict[str, None] = {}
        for path, content in fresh.items():
            for name in imports(content.decode("utf-8", "replace")):
                wanted |= dict.fromkeys(places(path, name, search))
        asked = [path for path in wanted if path not in known and path not in absent]
        fresh = dict(read(asked)) if asked else {}
        absent |= dict.fromkeys(path for path in asked if path not in fresh)
        known |= fresh
        if len(known) > _MOST_FILES:
            raise Permanent(f"{next(iter(mains))}: imports more than {_MOST_FILES} files")
    return Closure(known, tuple(absent))
