"""Kustomize, as `kubectl kustomize`: one run per cache miss, in a directory that holds what it may read (GEN-10)."""

from dataclasses import dataclass
from typing import Any

import orjson

from driftline.adapters.render.client import Helper
from driftline.adapters.render.job import Job, absent_items, material_items, materials
from driftline.adapters.render.request import Rendered
from driftline.adapters.render.sandbox import Spawner
from driftline.adapters.render.settings import RenderSettings
from driftline.adapters.render.tools import Program, run
from driftline.adapters.render.workspace import Workspace
from driftline.desired.chart import REPOSITORY
from driftline.desired.inputs import Inputs
from driftline.desired.kustomization import collect, components_of, edited, option_references
from driftline.desired.lookup import oids
from driftline.desired.material import Material
from driftline.desired.overrides import override_names
from driftline.desired.paths import join
from driftline.desired.tools import CHART
from driftline.model.application import KustomizeOptions


@dataclass
class KustomizeRender:
    """One kustomization with all that it reads found, and the source's options written in."""

    job: Job
    settings: RenderSettings
    program: Program
    material: Material
    file: str
    content: dict[str, Any]
    changed: bool
    """Whether the options made the kustomization another one than the file in Git."""

    @classmethod
    def plan(cls, job: Job, settings: RenderSettings, program: Program) -> "KustomizeRender":
        """Follow the references. Raises Permanent naming file and field."""
        options = job.source.kustomize or KustomizeOptions()
        material, _ = materials(job.request, settings, job.lookup)
        base = job.directory.path
        file, content = collect(material, job.directory, option_references(material, base, options))
        found = edited(file, content, options, components_of(material, base, options), job.environment)
        return cls(job, settings, program, material, file, found, found != content)

    def inputs(self) -> Inputs:
        """Exactly the files that are named are read; what would be taken instead if it existed is watched too."""
        beside = [CHART, *override_names(self.job.request.application.name)]
        self.job.seen.update(oids(self.job.request.tree, [join(self.job.directory.path, each) for each in beside]))
        items = material_items("", self.material)
        parameters = {"directory": self.job.directory.path, "options": self.content if self.changed else None}
        return self.job.inputs(self.program.build, items, parameters, items + absent_items("", self.material))

    def run(self, spawner: Spawner, helper: Helper) -> Rendered:
        """Build it. Raises Permanent with Kustomize's own words."""
        inputs = self.inputs()
        files = self.material.contents()
        if self.changed:
            files[self.file] = orjson.dumps(self.content)
        with Workspace(self.settings.work_directory) as workspace:
            workspace.write_all(REPOSITORY, files, self.material.links)
            place = f"{REPOSITORY}/{self.job.directory.path}".rstrip("/")
            command = [self.program.path, "kustomize", place]
            output = run(spawner, self.settings, workspace, command, self.job.subject)
        parsed = helper.parse(
            self.job.request.application.project, "stream", [(self.job.subject, output)], self.settings.output
        )
        warnings = self.job.all_warnings() + self._warnings()
        return Rendered(parsed.objects, inputs, self.job.tool, warnings, parsed.origins)

    def _warnings(self) -> tuple[str, ...]:
        options = self.job.source.kustomize
        if options is None:
            return ()
        without_effect = {"version": options.version, "kubeVersion": options.kube_version}
        return tuple(
            f"source.kustomize.{name}: has no effect: the Kustomize in kubectl is used and inflates no charts"
            for name, value in without_effect.items()
            if value
        )
