"""The API server without Driftline: what the machine allows at most. The limits that rows are compared with."""

import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import urllib3

from bench.manifests import Object

WIDTH = 32
PAGE = 500
_PLURALS = {
    "ConfigMap": "configmaps",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "Deployment": "deployments",
    "Ingress": "ingresses",
}


class Raw:
    """Plain requests over one pool of connections, as `driftline` (held to flow control) or `admin`."""

    def __init__(self, server: str, directory: Path, user: str) -> None:
        context = ssl.create_default_context(cafile=str(directory / "certs" / "ca.crt"))
        context.load_cert_chain(directory / "certs" / f"{user}.crt", directory / "certs" / f"{user}.key")
        self._pool = urllib3.PoolManager(maxsize=WIDTH, ssl_context=context, retries=False).connection_from_url(server)

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """The JSON of an answer. Raises RuntimeError for one that is no success."""
        sent = None if body is None else orjson.dumps(body)
        answer = self._pool.urlopen(
            method, path, body=sent, headers={"Content-Type": kind, "Accept": "application/json"}
        )
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status}: {answer.data[:300]!r}")
        return orjson.loads(answer.data)

    def apply(self, body: Object) -> None:
        """One server-side apply."""
        self.call("PATCH", f"{path_of(body)}?fieldManager=bare&force=true", body, "application/apply-patch+yaml")

    def apply_all(self, bodies: Sequence[Object]) -> float:
        """Apply 32 at a time; seconds until the last is answered."""
        start = time.perf_counter()
        with ThreadPoolExecutor(WIDTH) as pool:
            list(pool.map(self.apply, bodies))
        return time.perf_counter() - start

    def list_all(self, path: str, selector: str = "") -> tuple[float, int]:
        """LIST in pages of 500, parsed; seconds, and how many objects."""
        start, found, following = time.perf_counter(), 0, ""
        while True:
            page = self.call("GET", f"{path}?limit={PAGE}&labelSelector={selector}&continue={following}")
            found += len(page["items"])
            following = page["metadata"].get("continue", "")
            if not following:
                return time.perf_counter() - start, found

    def make_namespace(self, name: str) -> None:
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})

    def watch(self, path: str, stop: threading.Event) -> Iterator[Object]:
        """Events of a watch, from what is there now on."""
        while not stop.is_set():
            answer = self._pool.urlopen(
                "GET", f"{path}?watch=1&timeoutSeconds=600", preload_content=False, timeout=urllib3.Timeout(5, 0.5)
            )
            held = b""
            try:
                while not stop.is_set():
                    try:
                        piece = answer.read1(65536)
                    except urllib3.exceptions.ReadTimeoutError:
                        break
                    if not piece:
                        break
                    *lines, held = (held + piece).split(b"\n")
                    yield from (orjson.loads(line) for line in lines if line)
            finally:
                answer.close()

    def close(self) -> None:
        self._pool.close()


def path_of(body: Object) -> str:
    """The path of an object of the few kinds that the benches deploy."""
    version = body["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    metadata = body["metadata"]
    return f"{root}/namespaces/{metadata['namespace']}/{_PLURALS[body['kind']]}/{metadata['name']}"
