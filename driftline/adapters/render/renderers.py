"""The one door to rendering: what a source would be made from, and making it. Called by driftline.flow.

Make one `Renderers` per worker child, after fork; it starts nothing until it is needed.
"""

from driftline.adapters.render.client import Helper
from driftline.adapters.render.helm import HelmRender
from driftline.adapters.render.job import prepare
from driftline.adapters.render.kustomize import KustomizeRender
from driftline.adapters.render.plain import PlainRender
from driftline.adapters.render.request import Rendered, RenderRequest
from driftline.adapters.render.sandbox import Guard, Spawner
from driftline.adapters.render.settings import RenderSettings
from driftline.adapters.render.tools import Program, find_program
from driftline.desired.inputs import Inputs
from driftline.desired.tools import Tool

_KUBECTL_HINT = "install it, or name it with DRIFTLINE_KUBECTL"
_HELM_HINT = "install Helm 3 or 4 (go install helm.sh/helm/v4/cmd/helm@latest), or name it with DRIFTLINE_HELM"


class Renderers:
    """Renders the sources of applications. Safe for threads."""

    def __init__(self, settings: RenderSettings) -> None:
        self._settings = settings
        self._spawner = Spawner(settings.limits, settings.allow_unsandboxed)
        self._helper = Helper(self._spawner, settings)

    @property
    def guard(self) -> Guard:
        """What keeps renders off the network on this machine; for `driftline doctor`."""
        return self._spawner.guard

    def program(self, tool: Tool) -> Program | None:
        """The program that a tool would run, None for plain directories. Raises Permanent if it is not there."""
        if tool is Tool.HELM:
            return find_program("helm", self._settings.helm, _HELM_HINT)
        if tool is Tool.KUSTOMIZE:
            return find_program("kubectl", self._settings.kubectl, _KUBECTL_HINT)
        return None

    def inputs(self, request: RenderRequest) -> Inputs:
        """What a render of this would be made from, and its cache key. Starts no process.

        Raises Permanent for everything that can be seen to be wrong without rendering.
        """
        return self._planned(request).inputs()

    def render(self, request: RenderRequest) -> Rendered:
        """Make the objects of one source. Raises Permanent (`file or field: cause`), or Temporary."""
        planned = self._planned(request)
        if isinstance(planned, PlainRender):
            return planned.run(self._helper)
        return planned.run(self._spawner, self._helper)

    def close(self) -> None:
        """End the helper process and all else that was started."""
        self._helper.close()
        self._spawner.close()

    def _planned(self, request: RenderRequest) -> PlainRender | KustomizeRender | HelmRender:
        job = prepare(request)
        program = self.program(job.tool)
        if program is None:
            return PlainRender.plan(job, self._settings)
        if job.tool is Tool.HELM:
            return HelmRender.plan(job, self._settings, program)
        return KustomizeRender.plan(job, self._settings, program)
