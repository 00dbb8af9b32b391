"""Which tool renders a source (GEN-01) and whether its path is one (GEN-02). Called by the renderers."""

from collections.abc import Iterable
from enum import StrEnum

from driftline.desired.lookup import Found, Lookup
from driftline.desired.paths import inside
from driftline.model.application import Source
from driftline.model.errors import Permanent


class Tool(StrEnum):
    """How manifests are made; the values are Argo CD's `status.sourceType`."""

    DIRECTORY = "Directory"
    KUSTOMIZE = "Kustomize"
    HELM = "Helm"


KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
"""Names of a kustomization file, in the order in which Kustomize looks."""

CHART = "Chart.yaml"


def choose(source: Source, names: Iterable[str]) -> Tool:
    """The tool for a source whose directory holds `names`. An explicit block wins; a chart is Helm's.

    Raises Permanent for a config management plugin.
    """
    if source.plugin is not None:
        name = source.plugin.get("name") or "(found by its files)"
        raise Permanent(
            f"{source.repo_url} {source.path}: plugin {name}: config management plugins are not run here; "
            "commit what the plugin generates, or use Kustomize, Helm or Jsonnet"
        )
    if source.helm is not None or source.chart:
        return Tool.HELM
    if source.kustomize is not None:
        return Tool.KUSTOMIZE
    if source.directory is not None:
        return Tool.DIRECTORY
    present = set(names)
    if CHART in present:
        return Tool.HELM
    return Tool.DIRECTORY if present.isdisjoint(KUSTOMIZATIONS) else Tool.KUSTOMIZE


def renders(source: Source) -> bool:
    """Whether a source has manifests of its own; a `ref` without path or chart only lends its files (GEN-16)."""
    return bool(source.path or source.chart)


def application_directory(lookup: Lookup, path: str) -> Found:
    """The directory that `source.path` names. Raises Permanent, in Argo CD's words, where it is none."""
    if path.startswith("/"):
        raise Permanent(f"{path}: app path is absolute")
    place = inside(path)
    found = lookup.find(place)
    if found is None:
        raise Permanent(f"{path}: app path does not exist in commit {lookup.tree.commit[:12]}")
    if not found.directory:
        raise Permanent(f"{path}: app path is not a directory")
    return found
