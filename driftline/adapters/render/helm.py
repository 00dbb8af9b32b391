"""Helm, as `helm template`: one run per cache miss, in a directory that holds what it may read (GEN-06..08)."""

import re
from dataclasses import dataclass

from driftline.adapters.render.client import Helper
from driftline.adapters.render.job import Job, absent_items, material_items, materials
from driftline.adapters.render.request import Rendered
from driftline.adapters.render.sandbox import Spawner
from driftline.adapters.render.settings import RenderSettings
from driftline.adapters.render.tools import Program, run
from driftline.adapters.render.workspace import Workspace
from driftline.desired.chart import REFERENCES, REPOSITORY, VALUES_FILE, ChartRender, random_templates
from driftline.desired.inputs import Inputs
from driftline.desired.paths import join
from driftline.desired.tools import CHART
from driftline.model.application import HelmOptions
from driftline.model.digests import digest_bytes
from driftline.model.errors import Permanent

_MISSING = re.compile(r"found in Chart\.yaml, but missing in charts/ directory: ([^\n]*)")
_ON_DISK = re.compile(rf"(?<![\w/.-])(?:{REPOSITORY}|{REFERENCES}/[\w-]+)/")


@dataclass
class HelmRender:
    """One chart with its values found and its command line made."""

    job: Job
    settings: RenderSettings
    program: Program
    chart: ChartRender
    arguments: list[str]

    @classmethod
    def plan(cls, job: Job, settings: RenderSettings, program: Program) -> "HelmRender":
        """Find the chart, its local dependencies and its value files. Raises Permanent naming the field."""
        own, references = materials(job.request, settings, job.lookup)
        options = job.source.helm or HelmOptions()
        chart = ChartRender(
            job.request.application,
            options,
            job.environment,
            own,
            references,
            job.directory,
            supplier=job.request.charts,
        )
        arguments = chart.arguments(job.request.kube_version, job.request.api_versions)
        return cls(job, settings, program, chart, arguments)

    def inputs(self) -> Inputs:
        """The chart's directory and the value files are read; where globs look for more is watched."""
        every = [("", self.chart.own), *self.chart.references.items()]
        items = [item for ref, material in every for item in material_items(ref, material)]
        watched = items + [item for ref, material in every for item in absent_items(ref, material)]
        watched += [(ref, path, oid) for (ref, path), oid in self.chart.globbed.items()]
        values = self.chart.values
        parameters: dict[str, object] = {"arguments": self.arguments}
        parameters["values"] = digest_bytes(values) if values is not None else None
        if self.chart.gathering.supplied:
            parameters["dependencies"] = self.chart.gathering.supplied
        return self.job.inputs(self.program.build, items, parameters, watched)

    def run(self, spawner: Spawner, helper: Helper) -> Rendered:
        """Template it. Raises Permanent with Helm's own words, names of templates and values in them."""
        inputs = self.inputs()
        own = self.chart.own.contents()
        with Workspace(self.settings.work_directory) as workspace:
            workspace.write_all(REPOSITORY, own, self.chart.own.links)
            for ref, material in self.chart.references.items():
                workspace.write_all(f"{REFERENCES}/{ref}", material.contents(), material.links)
            if (values := self.chart.values) is not None:
                workspace.write(VALUES_FILE, values)
            try:
                command = [self.program.path, "template", *self.arguments]
                output = run(spawner, self.settings, workspace, command, self.job.subject)
            except Permanent as error:
                raise Permanent(self._explained(error.message)) from None
        parsed = helper.parse(
            self.job.request.application.project, "stream", [(self.job.subject, output)], self.settings.output
        )
        warnings = (*self.job.all_warnings(), *self.chart.gathering.warnings, *random_templates(own))
        return Rendered(parsed.objects, inputs, self.job.tool, warnings, parsed.origins)

    def _explained(self, message: str) -> str:
        """Helm's message with paths as in the repository, values that it repeats cut out, and what to do added."""
        text = _ON_DISK.sub("", message)
        for flag, value in zip(self.arguments, self.arguments[1:], strict=False):
            if flag in ("--set", "--set-string"):
                name, _, given = value.partition("=")
                text = text.replace(value, f"{name}=...") if given else text
        if missing := _MISSING.search(text):
            file = join(self.job.directory.path, CHART)
            return (
                f"{file}: dependency {missing[1].strip()} is not in charts/, and nothing is fetched while rendering; "
                "run `helm dependency build` and commit charts/"
            )
        return text
