"""Short ways to ask for a render in tests."""

from collections.abc import Mapping
from typing import Any

from driftline.adapters.render.renderers import Renderers
from driftline.adapters.render.request import Rendered, RenderRequest
from driftline.desired.tree import Tree
from driftline.model.application import Application, Destination, Source

GIT = "https://git.example/shop.git"
COMMIT = "0123456789" * 4


def request(
    tree: Tree, path: str = "app", references: Mapping[str, Tree] | None = None, project: str = "default", **tool: Any
) -> RenderRequest:
    """A request of application `shop` in namespace `store`; `tool` is a tool block: `helm=HelmOptions(...)`."""
    source = Source(GIT, path, "main", **tool)
    shop = Application("shop", Destination(name="in-cluster", namespace="store"), (source,), project=project)
    return RenderRequest(shop, source, tree, references or {}, "1.37.0", ("v1", "apps/v1"))


def names(rendered: Rendered) -> list[str]:
    """The rendered objects as `Kind/name`, in order."""
    return [f"{body['kind']}/{body['metadata']['name']}" for body in rendered.objects]


def rendered_names(renderers: Renderers, tree: Tree, path: str = "app", **tool: Any) -> list[str]:
    return names(renderers.render(request(tree, path, **tool)))


def config_map(name: str, **data: str) -> str:
    """A manifest of one ConfigMap."""
    lines = "".join(f"  {key}: {value}\n" for key, value in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n" + (f"data:\n{lines}" if lines else "")
