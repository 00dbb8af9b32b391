"""Schemas of clusters' kinds, shared by all threads of a process and read once per content hash."""

import threading

from driftline.adapters.cluster.cluster import Cluster
from driftline.drift.schema import Schemas, Type, trim
from driftline.model.cluster import ApiRefused
from driftline.model.objects import group_of, version_of

KEPT = 64
"""Group versions kept; the one asked for longest ago goes first."""


class SchemaCache:
    """OpenAPI documents as types, by (cluster, group version) and the hash that the API server gives them."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[str, Schemas | None]] = {}
        self._lock = threading.Lock()

    def hash(self, cluster: Cluster, api_version: str) -> str:
        """Names the present schemas of a group version; part of every cached verdict."""
        return cluster.openapi_hash(group_of(api_version), version_of(api_version))

    def type_of(self, cluster: Cluster, api_version: str, kind: str) -> Type | None:
        """The type of a kind, None where the API server publishes none."""
        schemas = self._schemas(cluster, api_version)
        return schemas.type_of(group_of(api_version), version_of(api_version), kind) if schemas else None

    def _schemas(self, cluster: Cluster, api_version: str) -> Schemas | None:
        at = (cluster.name, api_version)
        present = self.hash(cluster, api_version)
        with self._lock:
            known = self._found.get(at)
            if known is not None and known[0] == present:
                return known[1]
        schemas = self._load(cluster, api_version)
        with self._lock:
            self._found.pop(at, None)
            self._found[at] = (present, schemas)
            while len(self._found) > KEPT:
                del self._found[next(iter(self._found))]
        return schemas

    def _load(self, cluster: Cluster, api_version: str) -> Schemas | None:
        try:
            _, document = cluster.openapi(group_of(api_version), version_of(api_version))
        except ApiRefused:
            return None
        return Schemas.from_documents({api_version: trim(document)})
