"""Directories of YAML, JSON and Jsonnet (GEN-04, GEN-05), read by the helper process."""

from collections.abc import Mapping
from dataclasses import dataclass

from driftline.adapters.render.client import Helper
from driftline.adapters.render.job import Job
from driftline.adapters.render.request import Rendered
from driftline.adapters.render.settings import RenderSettings
from driftline.desired.directory import Chosen, Selection, select
from driftline.desired.inputs import Inputs, Item
from driftline.desired.jsonnet import Closure, closure
from driftline.desired.lookup import oids
from driftline.desired.paths import below, inside
from driftline.model.application import DirectoryOptions, JsonnetVariable

JSONNET = ".jsonnet"


@dataclass
class PlainRender:
    """One directory, its files chosen and not yet read (Jsonnet and what it imports excepted)."""

    job: Job
    settings: RenderSettings
    selection: Selection
    programs: Closure | None

    @classmethod
    def plan(cls, job: Job, settings: RenderSettings) -> "PlainRender":
        """Choose the files. Raises Permanent."""
        selection = select(job.lookup, job.directory.path, _options(job), settings.directory_size)
        mains = [file for file in selection.files if file.path.endswith(JSONNET)]
        return cls(job, settings, selection, _programs(job, mains) if mains else None)

    @property
    def manifests(self) -> list[Chosen]:
        return [file for file in self.selection.files if not file.path.endswith(JSONNET)]

    def inputs(self) -> Inputs:
        """The chosen files are read; the directory as a whole is watched, since it decides which they are."""
        directory = self.job.directory
        items: list[Item] = [("", file.path, file.oid) for file in self.selection.files]
        watched: list[Item] = [("", directory.path, self._directory_id())]
        outside = [path for path in self.selection.links if not below(path, directory.path)]
        parameters = None
        if self.programs is not None:
            libraries = oids(self.job.request.tree, [*self.programs.files, *self.programs.absent])
            items += [("", path, oid) for path, oid in libraries.items() if oid and path not in dict(self._named())]
            outside += [path for path in libraries if not below(path, directory.path)]
            parameters = {"variables": self._variables(), "search": self._search()}
        watched += [("", path, oid) for path, oid in oids(self.job.request.tree, outside).items()]
        return self.job.inputs("plain", items, parameters, watched)

    def _named(self) -> list[tuple[str, str]]:
        return [(file.path, file.oid) for file in self.selection.files]

    def _directory_id(self) -> str:
        path = self.job.directory.path
        return self.job.directory.entry.oid or oids(self.job.request.tree, [path])[path]

    def _search(self) -> list[str]:
        return list(_search(self.job))

    def _variables(self) -> dict[str, list[list[object]]]:
        options = _options(self.job)
        return {"ext": self._expanded(options.ext_vars), "tla": self._expanded(options.tlas)}

    def _expanded(self, variables: tuple[JsonnetVariable, ...]) -> list[list[object]]:
        return [[each.name, self.job.environment.expand(each.value), each.code] for each in variables]

    def run(self, helper: Helper) -> Rendered:
        """Read the files and have the helper make objects of them. Raises Permanent (`file:line: cause`)."""
        inputs = self.inputs()
        project = self.job.request.application.project
        manifests = self.manifests
        content = self.job.request.tree.read(dict.fromkeys(file.real for file in manifests)) if manifests else {}
        parsed = helper.parse(
            project, "files", [(file.path, content[file.real]) for file in manifests], self.settings.yaml
        )
        objects, origins = parsed.objects, parsed.origins
        if self.programs is not None:
            more = {
                "mains": [path for path, _ in self._named() if path.endswith(JSONNET)],
                "search": self._search(),
                **self._variables(),
            }
            made = helper.parse(project, "jsonnet", self.programs.files.items(), self.settings.yaml, more)
            objects, origins = objects + made.objects, origins + made.origins
        warnings = self.job.all_warnings() + self.selection.warnings + parsed.warnings
        return Rendered(objects, inputs, self.job.tool, warnings, origins)


def _options(job: Job) -> DirectoryOptions:
    return job.source.directory or DirectoryOptions()


def _search(job: Job) -> tuple[str, ...]:
    """Where imports are looked for: the application's directory, then the libraries, whose paths begin at the root."""
    return (job.directory.path, *(inside(job.environment.expand(library)) for library in _options(job).libs))


def _programs(job: Job, mains: list[Chosen]) -> Closure:
    """The Jsonnet files and all that they can import."""
    read = job.request.tree.read(dict.fromkeys(file.real for file in mains))

    def existing(paths: list[str]) -> Mapping[str, bytes]:
        found = {path: job.lookup.find(path) for path in paths}
        files = {path: each.path for path, each in found.items() if each is not None and each.file}
        contents = job.request.tree.read(dict.fromkeys(files.values())) if files else {}
        return {path: contents[real] for path, real in files.items()}

    return closure({file.path: read[file.real] for file in mains}, _search(job), existing)
