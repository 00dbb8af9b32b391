"""Stands in for an ingress controller: gives every Ingress an address, as soon as it is there."""

import threading
from concurrent.futures import ThreadPoolExecutor

from bench.manifests import Object
from bench.raw import Raw

ADDRESS = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}


class IngressStub:
    """Runs in threads of the bench between `__enter__` and `__exit__`."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._stop = threading.Event()
        self._writers = ThreadPoolExecutor(4)
        self._thread = threading.Thread(target=self._run, name="ingress stub", daemon=True)

    def __enter__(self) -> "IngressStub":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)
        self._writers.shutdown(wait=True, cancel_futures=True)

    def _run(self) -> None:
        for event in self._raw.watch("/apis/networking.k8s.io/v1/ingresses", self._stop):
            if event["type"] in ("ADDED", "MODIFIED") and waits(event["object"]):
                self._writers.submit(self._answer, event["object"])

    def _answer(self, found: Object) -> None:
        metadata = found["metadata"]
        path = f"/apis/networking.k8s.io/v1/namespaces/{metadata['namespace']}/ingresses/{metadata['name']}/status"
        self._raw.call("PATCH", path, ADDRESS, "application/merge-patch+json")


def waits(found: Object) -> bool:
    """Whether an Ingress has no address yet."""
    return not found.get("status", {}).get("loadBalancer", {}).get("ingress") and not found["metadata"].get(
        "deletionTimestamp"
    )
