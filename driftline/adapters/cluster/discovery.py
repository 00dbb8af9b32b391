"""Reads which kinds an API server serves from its aggregated discovery. Called by cluster."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from driftline.model.cluster import Kinds, Resource

ACCEPT = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")
)


def read_kinds(documents: Iterable[Mapping[str, Any]]) -> Kinds:
    """Kinds from the APIGroupDiscoveryLists of /api and /apis. A group with a stale version counts as broken."""
    resources: dict[tuple[str, str], dict[str, Resource]] = {}
    preferred: dict[str, str] = {}
    broken: set[str] = set()
    for item in (item for document in documents for item in document.get("items") or ()):
        group = str((item.get("metadata") or {}).get("name") or "")
        for version in item.get("versions") or ():
            name = str(version["version"])
            preferred.setdefault(group, name)  # versions come in order of preference
            if version.get("freshness") == "Stale":
                broken.add(group)
            for resource in _resources(group, name, version):
                resources.setdefault((group, resource.kind), {})[name] = resource
    return Kinds(resources, preferred, frozenset(broken))


def _resources(group: str, version: str, document: Mapping[str, Any]) -> Iterator[Resource]:
    for entry in document.get("resources") or ():
        kind = (entry.get("responseKind") or {}).get("kind")
        if not kind or "/" in entry["resource"]:
            continue
        yield Resource(
            group=group,
            version=version,
            kind=str(kind),
            plural=str(entry["resource"]),
            namespaced=entry.get("scope") == "Namespaced",
            verbs=frozenset(entry.get("verbs") or ()),
        )
