"""One watch request as a stream of events. Called by cluster."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
import urllib3

from driftline.adapters.cluster.connection import Connection, Request
from driftline.adapters.cluster.paths import with_query
from driftline.adapters.cluster.refusals import Answer, Call, from_transport, translate
from driftline.model.cluster import ClusterUnreachable
from driftline.model.objects import Object

IDLE = 150.0
"""Seconds without a byte until a watch counts as dead. API servers send a bookmark every one or two minutes."""
_INITIAL_END = "k8s.io/initial-events-end"
_CHUNK = 1 << 16


class Happened(StrEnum):
    """What an event says. `LEFT` is the API's DELETED: deleted, or only no longer selected. A GET tells which."""

    UPSERT = "upsert"
    LEFT = "left"
    BOOKMARK = "bookmark"
    INITIAL_END = "initial end"
    """Everything that was there at the start has been sent."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. A bookmark's object holds only its resourceVersion, which `resource_version` has in any case."""

    happened: Happened
    object: Object
    resource_version: str


class Events:
    """An open watch. Iterating ends with the server's time limit or `close`; else Expired or ClusterUnreachable."""

    def __init__(self, opened: AbstractContextManager[urllib3.BaseHTTPResponse], call: Call, host: str) -> None:
        self._opened = opened
        self._response = opened.__enter__()
        self._call = call
        self._host = host
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Event]:
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[list[Event]]:
        """The events as they arrive: those that came together are one batch."""
        try:
            for lines in self._lines():
                yield [_event(self._call, orjson.loads(line)) for line in lines]
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
            # ValueError and AttributeError: what urllib3 and http.client make of a socket closed under them.
            if self._closed.is_set():
                return
            if isinstance(error, (ValueError, AttributeError)):
                raise ClusterUnreachable(f"{self._call}: the watch on cluster {self._call.cluster} broke off") from None
            raise from_transport(self._call, self._host, error) from None
        finally:
            self._opened.__exit__(None, None, None)

    def close(self) -> None:
        """End it, also while another thread waits in it."""
        self._closed.set()
        try:
            self._response.shutdown()
        except (OSError, ValueError, RuntimeError, AttributeError):
            pass  # it ended by itself

    def _lines(self) -> Iterator[list[bytes]]:
        rest = bytearray()
        for chunk in self._response.stream(_CHUNK):
            rest += chunk
            *lines, last = rest.split(b"\n") if b"\n" in chunk else (rest,)
            rest = bytearray(last)
            if complete := [bytes(line) for line in lines if line]:
                yield complete


def open_watch(
    connection: Connection,
    path: str,
    call: Call,
    label_selector: str,
    resource_version: str,
    initial: bool,
    timeout: int,
) -> Events:
    """Start a watch. Raises Expired, ApiRefused or ClusterUnreachable."""
    query = {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "labelSelector": label_selector,
        "resourceVersion": resource_version,
        "timeoutSeconds": str(timeout),
    }
    if initial:
        query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    request = Request("GET", with_query(path, query), call)
    return Events(connection.stream(request, idle=min(IDLE, timeout + 30.0)), call, connection.host)


def _event(call: Call, document: Mapping[str, Any]) -> Event:
    body: Object = document["object"]
    kind = document["type"]
    if kind == "ERROR":
        raise translate(call, Answer.read(int(body.get("code") or 500), orjson.dumps(body)), {})
    metadata = body["metadata"]
    version = str(metadata.get("resourceVersion", ""))
    if kind == "BOOKMARK":
        ended = (metadata.get("annotations") or {}).get(_INITIAL_END) == "true"
        return Event(Happened.INITIAL_END if ended else Happened.BOOKMARK, body, version)
    return Event(Happened.LEFT if kind == "DELETED" else Happened.UPSERT, body, version)
