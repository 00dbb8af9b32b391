"""Finalised renders that a process keeps, so that a look at an unchanged application opens no sealed render."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from driftline.desired.finalise import Desired
from driftline.model.application import Application
from driftline.model.cluster import Kinds
from driftline.model.digests import digest
from driftline.model.marks import Marks

KEPT_OBJECTS = 4_000
"""Finalised objects that one process keeps, over all applications."""


@dataclass(frozen=True)
class Target:
    """The cluster side of a render: what it is made for."""

    kinds: Kinds
    version: str
    marks: Marks
    scopes: str = ""
    """Names which kinds are served and whether they are namespaced (`scopes_of`)."""
    api_versions: tuple[str, ...] = ()
    """What the cluster serves, in Helm's form: `apps/v1` and `apps/v1/Deployment`."""


class DesireCache:
    """Finalised objects by application declaration, render and marks; bounded by their number. Thread-safe."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, Desired] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, app: Application, key: str, target: Target) -> Desired | None:
        with self._lock:
            at = _at(app, key, target)
            found = self._found.get(at)
            if found is not None:
                self._found.move_to_end(at)
            return found

    def put(self, app: Application, key: str, target: Target, desired: Desired) -> None:
        with self._lock:
            at = _at(app, key, target)
            if at not in self._found:
                self._size += len(desired.objects)
            self._found[at] = desired
            while self._size > KEPT_OBJECTS and len(self._found) > 1:
                _, gone = self._found.popitem(last=False)
                self._size -= len(gone.objects)


def _at(app: Application, key: str, target: Target) -> str:
    return digest([app.document, key, target.marks.installation, target.scopes])


def scopes_of(kinds: Kinds) -> str:
    """Names which kinds a cluster serves, and which of them are namespaced."""
    return digest(
        sorted(
            [group, kind, resource.namespaced]
            for (group, kind), versions in kinds.resources.items()
            for resource in list(versions.values())[:1]
        )
    )


def api_versions_of(kinds: Kinds) -> tuple[str, ...]:
    """What a cluster serves, in Helm's form: `apps/v1` and `apps/v1/Deployment`."""
    found = set()
    for (_, kind), versions in kinds.resources.items():
        for resource in versions.values():
            found |= {resource.api_version, f"{resource.api_version}/{kind}"}
    return tuple(sorted(found))
