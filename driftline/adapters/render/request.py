"""What is to be rendered and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from driftline.desired.dependencies import Supplier
from driftline.desired.inputs import Inputs
from driftline.desired.tools import Tool
from driftline.desired.tree import Tree
from driftline.model.application import Application, Source


@dataclass(frozen=True)
class RenderRequest:
    """One source of an application at one commit.

    `references` holds the trees of the application's `ref` sources by ref (without the dollar). `kube_version` and
    `api_versions` (`v1`, `apps/v1`, `apps/v1/Deployment`) are the destination cluster's.
    """

    application: Application
    source: Source
    tree: Tree
    references: Mapping[str, Tree] = field(default_factory=dict)
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()
    charts: Supplier | None = None
    """Where dependencies of charts come from that are in neither repository; None: from nowhere."""


@dataclass(frozen=True)
class Rendered:
    """The objects of one source, as the tool gave them: `desired.finalise` makes them the desired state.

    `origins` says for each where it stands (`deploy/web.yaml:12`, `web/templates/deployment.yaml`). Objects may hold
    secrets and may be of any shape.
    """

    objects: tuple[Any, ...]
    inputs: Inputs
    tool: Tool
    warnings: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
