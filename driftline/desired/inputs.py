"""What a render was made from: its cache key, and the cheap question whether a new commit touches it.

A thousand applications of one repository are asked with one call: gather `paths` of all of them, ask the tree for
their object ids once, then ask `unchanged` for each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import orjson

from driftline.model.digests import digest

Item = tuple[str, str, str]
"""(ref, path, object id). `ref` is empty for the source's own repository, else the name of a referenced source; the
object id is empty for a path that does not exist and would matter if it did."""


@dataclass(frozen=True)
class Inputs:
    """`tool` is `directory` (no process is started for it), `kustomize` or `helm`.

    `items` is exactly what the renderer reads; `watched` is what shows at once that none of it changed.

    The two differ where a rule looks at a whole directory: its tree's id is watched, but the key names only the files
    that the rule selects, so that a neighbour's change ends after a new look and no render.
    `parameters` is canonical JSON of all else that decides the result, the build of the tool included. `revision` is
    the commit, if the render mentions it (`$ARGOCD_APP_REVISION`), else empty.
    """

    tool: str
    items: tuple[Item, ...]
    parameters: str
    watched: tuple[Item, ...] = ()
    revision: str = ""

    @cached_property
    def key(self) -> str:
        """The cache key: equal keys mean equal renders."""
        return digest([self.tool, self.items, self.parameters])

    def paths(self, ref: str = "") -> tuple[str, ...]:
        """The paths of one repository whose object ids `unchanged` needs."""
        return tuple(path for where, path, _ in self.watched if where == ref)

    def to_json(self) -> str:
        return orjson.dumps([self.tool, self.items, self.parameters, self.watched, self.revision]).decode()

    @classmethod
    def from_json(cls, text: str) -> "Inputs":
        """Read what `to_json` wrote. Raises ValueError for anything else."""
        tool, items, parameters, watched, revision = orjson.loads(text)
        return cls(tool, _items(items), parameters, _items(watched), revision)


def _items(rows: list[list[str]]) -> tuple[Item, ...]:
    return tuple((ref, path, oid) for ref, path, oid in rows)


def unchanged(inputs: Inputs, oids: Mapping[str, str], ref: str = "", commit: str = "") -> bool:
    """Whether a commit of repository `ref` leaves the render as it is.

    `oids` are the commit's object ids of at least `inputs.paths(ref)`; a path that does not exist is left out.
    False means: look again (`Renderers.inputs`), the key may still be the same.
    """
    if inputs.revision and not ref and inputs.revision != commit:
        return False
    return all(oids.get(path, "") == oid for where, path, oid in inputs.watched if where == ref)
