"""How an object in a cluster says whose it is: our installation's label and Argo CD's tracking annotation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from driftline.model.objects import Key, Object, annotations_of, key_of, labels_of

MANAGER = "driftline"
"""Our field manager for server-side apply."""

NAMESPACE_MANAGER = "driftline-namespace"
"""Field manager of the metadata of namespaces made by CreateNamespace: nobody's property."""

INSTALLATION_LABEL = "driftline.io/installation"
"""Selects everything of one installation in a LIST or watch. Value: the installation's 26-character id."""

TRACKING_ANNOTATION = "argocd.argoproj.io/tracking-id"
"""Names the application and the object itself, so that a copy of the object is not taken for ours (TRK-02, TRK-04)."""


@dataclass(frozen=True)
class Marks:
    """What is stamped on each object of one application."""

    installation: str
    application: str

    def tracking_id(self, key: Key, namespace: str = "") -> str:
        """Argo CD's form: `app:group/kind:namespace/name`; a cluster-scoped object has the destination's namespace."""
        return f"{self.application}:{key.group}/{key.kind}:{key.namespace or namespace}/{key.name}"

    def stamp(self, body: Object, namespace: str = "") -> Object:
        """A copy of the object that carries both marks."""
        metadata = dict(body.get("metadata") or {})
        metadata["labels"] = {**labels_of(body), INSTALLATION_LABEL: self.installation}
        tracking = self.tracking_id(key_of(body), namespace)
        metadata["annotations"] = {**annotations_of(body), TRACKING_ANNOTATION: tracking}
        return {**body, "metadata": metadata}


@dataclass(frozen=True)
class Tracked:
    """A tracking id, taken apart."""

    application: str
    key: Key


def parse_tracking_id(text: str) -> Tracked | None:
    """Read a tracking id as Argo CD does; None for anything else."""
    parts = text.split(":", 2)
    if len(parts) != 3 or not parts[0]:
        return None
    kind, name = parts[1].split("/"), parts[2].split("/")
    if len(kind) != 2 or len(name) != 2:
        return None
    return Tracked(parts[0], Key(kind[0], kind[1], name[0], name[1]))


def tracked_by(live: Mapping[str, Any]) -> Tracked | None:
    """The application whose mark this live object carries, if the mark names the object itself.

    A copied mark (of another object) and an object with a controller owner count as unmarked. The namespace in the
    mark of a cluster-scoped object is not compared.
    """
    tracked = parse_tracking_id(str(annotations_of(live).get(TRACKING_ANNOTATION, "")))
    if tracked is None:
        return None
    key = key_of(live)
    same = (tracked.key.group, tracked.key.kind, tracked.key.name) == (key.group, key.kind, key.name)
    if not same or (key.namespace and tracked.key.namespace != key.namespace):
        return None
    owners = (live.get("metadata") or {}).get("ownerReferences")
    if isinstance(owners, list) and any(
        isinstance(owner, dict) and owner.get("controller") is True for owner in owners
    ):
        return None
    return tracked


def marked(live: Mapping[str, Any], marks: Marks) -> bool:
    """Whether a live object carries this installation's label and this application's own tracking id."""
    if labels_of(live).get(INSTALLATION_LABEL) != marks.installation:
        return False
    tracked = tracked_by(live)
    return tracked is not None and tracked.application == marks.application
