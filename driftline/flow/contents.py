"""What a namespace holds that would die with it: counted when an application that owns the namespace is deleted."""

from collections.abc import Mapping

from driftline.flow.reading import Reader
from driftline.model.cluster import Resource
from driftline.model.objects import Object

_PASSING = frozenset({"Event", "Endpoints", "EndpointSlice", "Lease"})
"""Kinds that the cluster itself writes into any namespace."""

_EVERYWHERE = frozenset({("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")})


def foreign_objects(reader: Reader, namespace: str) -> int:
    """How many objects somebody made in a namespace, without what belongs to another object or is on its way out.

    Raises the Failure of any LIST: what could not be counted is not nothing.
    """
    kinds = [_listed(versions) for versions in reader.kinds.resources.values()]
    return sum(_made(item) for kind in kinds if kind for item in _items(reader, kind, namespace))


def _listed(versions: Mapping[str, Resource]) -> Resource | None:
    found = next(iter(versions.values()))  # any one version shows all objects
    listed = found.namespaced and {"list", "delete"} <= found.verbs and found.kind not in _PASSING
    return found if listed else None


def _items(reader: Reader, kind: Resource, namespace: str) -> tuple[Object, ...]:
    return reader.cluster.list(kind, namespace, metadata_only=True).items


def _made(item: Object) -> bool:
    metadata = item["metadata"]
    theirs = (item["kind"], metadata["name"]) in _EVERYWHERE
    return not (theirs or metadata.get("ownerReferences") or "deletionTimestamp" in metadata)
