"""One request made ready: overrides merged, tool chosen, directory found. Shared by the renderers of each tool."""

from dataclasses import dataclass

import orjson

from driftline.adapters.render.request import RenderRequest
from driftline.adapters.render.settings import RenderSettings
from driftline.desired.environment import Environment, build_environment
from driftline.desired.inputs import Inputs, Item
from driftline.desired.lookup import Found, Lookup
from driftline.desired.material import Material
from driftline.desired.overrides import overridden, override_names
from driftline.desired.paths import join, name
from driftline.desired.tools import Tool, application_directory, choose, renders
from driftline.model.application import Source
from driftline.model.errors import Permanent

EDITION = "1"
"""Raised whenever the same input is to give another render: it is part of every cache key."""


@dataclass
class Job:
    """What every tool needs to know."""

    request: RenderRequest
    source: Source
    tool: Tool
    lookup: Lookup
    directory: Found
    environment: Environment
    seen: dict[str, str]
    """Paths in the application's directory that were looked for -> their object ids, empty for those not there."""
    warnings: tuple[str, ...]

    @property
    def subject(self) -> str:
        """What messages about the source as a whole begin with."""
        return self.source.path or self.source.chart or "."

    def all_warnings(self) -> tuple[str, ...]:
        """Warnings so far, and the names that the environment does not have."""
        unknown = self.environment.unknown
        found = (f"{self.subject}: ${', $'.join(unknown)}: no such build variable, replaced by nothing",)
        return self.warnings + (found if unknown else ())

    def inputs(self, build: str, items: list[Item], parameters: object, watched: list[Item]) -> Inputs:
        """The inputs of this job. `parameters` is all else that decides the result, as JSON values."""
        seen: list[Item] = [("", path, oid) for path, oid in self.seen.items()]
        return Inputs(
            tool=self.tool.lower(),
            items=tuple(sorted(set(items))),
            parameters=orjson.dumps([EDITION, build, parameters], option=orjson.OPT_SORT_KEYS).decode(),
            watched=tuple(sorted({*watched, *seen})),
            revision=self.request.tree.commit if self.environment.volatile else "",
        )


def prepare(request: RenderRequest) -> Job:
    """Find out what a request is about. Raises Permanent for a path, override or tool block that is wrong."""
    if not renders(request.source):
        raise Permanent(
            f"{request.source.repo_url}: this source has neither path nor chart: there is nothing to render"
        )
    lookup = Lookup(request.tree)
    directory = application_directory(lookup, request.source.path)
    entries = {name(entry.path): entry for entry in lookup.list(directory.path)}
    present = [each for each in override_names(request.application.name) if each in entries]
    paths = [join(directory.path, each) for each in present]
    contents = request.tree.read(paths) if paths else {}
    source, warnings = overridden(request.source, [(path, contents[path]) for path in paths])
    environment = build_environment(
        request.application, source, request.tree.commit, request.kube_version, request.api_versions
    )
    return Job(
        request=request,
        source=source,
        tool=choose(source, entries),
        lookup=lookup,
        directory=directory,
        environment=environment,
        seen={link.path: link.oid for link in directory.links},
        warnings=warnings,
    )


def material_items(ref: str, material: Material) -> list[Item]:
    """What of a repository is read, as items of inputs."""
    return [(ref, path, oid) for path, oid in material.items().items()]


def absent_items(ref: str, material: Material) -> list[Item]:
    """What would be read if it existed."""
    return [(ref, path, "") for path in material.absent]


def materials(request: RenderRequest, settings: RenderSettings, lookup: Lookup) -> tuple[Material, dict[str, Material]]:
    """Empty materials of the source's own repository and of each referenced one."""
    own = Material(lookup, settings.material)
    return own, {ref: Material(Lookup(tree), settings.material) for ref, tree in request.references.items()}
