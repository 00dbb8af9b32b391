"""What an API server is and serves: identity, version, kinds, schemas, remembered for a while. Called by cluster."""

import hashlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from driftline.adapters.cluster import discovery, openapi
from driftline.adapters.cluster.connection import Connection, Request
from driftline.adapters.cluster.refusals import Call
from driftline.model.cluster import ApiRefused, Kinds, Refusal
from driftline.model.objects import Key

AGE = 30.0
"""Seconds that discovery is believed; then one small request asks whether anything changed."""
_NOTHING = Key("", "", "", "")


class Served:
    """The API server behind a connection. `data` is where schemas are kept for other processes."""

    def __init__(self, connection: Connection, data: Path) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._kinds: Kinds | None = None
        self._kinds_at = 0.0
        self._groups: dict[str, tuple[str, Any]] = {}
        self._index: dict[str, str] = {}
        self._index_at = 0.0
        self._uid = ""
        self._version = ""
        directory = hashlib.sha256(connection.server.encode()).hexdigest()[:16]
        self._documents = openapi.Documents(data / "openapi" / directory)

    def uid(self) -> str:
        if not self._uid:
            body = self._get("/api/v1/namespaces/kube-system", Key("", "Namespace", "", "kube-system"))
            self._uid = str(body["metadata"]["uid"])
        return self._uid

    def version(self) -> str:
        if not self._version:
            self._version = str(self._get("/version")["gitVersion"])
        return self._version

    def kinds(self, refresh: bool) -> Kinds:
        with self._lock:
            if self._kinds is None or refresh or time.monotonic() - self._kinds_at > AGE:
                self._kinds = discovery.read_kinds([self._groups_at(path) for path in ("/api", "/apis")])
                self._kinds_at = time.monotonic()
            return self._kinds

    def forget(self) -> None:
        """Ask again at the next use."""
        self._kinds_at = self._index_at = -AGE

    def openapi_hash(self, group: str, version: str) -> str:
        return openapi.hash_of(self._openapi_url(group, version))

    def openapi(self, group: str, version: str) -> tuple[str, Mapping[str, Any]]:
        url, name = self._openapi_url(group, version), openapi.index_path(group, version)
        if not url:
            text = f"cluster {self._connection.name}: no schema for {name}; is its CRD installed?"
            raise ApiRefused(text, Refusal.KIND_NOT_SERVED)
        request = Request("GET", url, Call(self._connection.name, _NOTHING, name, "openapi"), repeat=True)
        digest = openapi.hash_of(url)
        return digest, self._documents.get(digest, lambda: self._connection.send(request).body)

    def _groups_at(self, path: str) -> Any:
        """The aggregated discovery at /api or /apis; the document we have, if the server says that it still holds."""
        etag, document = self._groups.get(path, ("", None))
        call = Call(self._connection.name, _NOTHING, "", "discovery")
        request = Request("GET", path, call, accept=discovery.ACCEPT, repeat=True, etag=etag)
        response = self._connection.send(request, frozenset({304}) if etag else frozenset())
        if response.status == 304:
            return document
        document = response.json()
        if document.get("kind") != "APIGroupDiscoveryList":
            text = f"cluster {self._connection.name}: its API server is too old; Kubernetes 1.27 or newer is needed"
            raise ApiRefused(text, Refusal.INVALID)
        self._groups[path] = (response.headers.get("ETag", ""), document)
        return document

    def _openapi_url(self, group: str, version: str) -> str:
        """The URL of a document, with its hash; empty if none is published."""
        name = openapi.index_path(group, version)
        if time.monotonic() - self._index_at > AGE or not self._index:
            paths = self._get("/openapi/v3")["paths"]
            self._index = {path: str(entry.get("serverRelativeURL", "")) for path, entry in paths.items()}
            self._index_at = time.monotonic()
        return self._index.get(name, "")

    def _get(self, path: str, key: Key = _NOTHING) -> Any:
        return self._connection.send(Request("GET", path, Call(self._connection.name, key), repeat=True)).json()
