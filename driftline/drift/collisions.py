"""Lists that a hand edit has made unmergeable: what Git wants beside what stands there is not valid.

Somebody changes a Service's port from 80 to 81 by hand. Ports are keyed by number, so server-side apply would put
Git's 80 beside 81, and the API server refuses two ports of one name. The list then has to be put back as a whole.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from driftline.model.objects import Object

Step = Mapping[str, Any]

_NEVER = frozenset({"metadata", "status"})


def list_patch(desired: Object, live: Object) -> list[Step]:
    """The JSON patch that puts back each list of objects in which live holds items that Git does not name.

    It fails if the object has changed since `live` was read. Empty if there is no such list.
    """
    steps = [
        step
        for name in desired
        if name not in _NEVER
        for step in _steps(desired[name], live.get(name), f"/{_escape(name)}")
    ]
    if not steps:
        return []
    version = (live.get("metadata") or {}).get("resourceVersion")
    return [{"op": "test", "path": "/metadata/resourceVersion", "value": version}, *steps]


def _steps(desired: Any, live: Any, path: str) -> Iterator[Step]:
    if isinstance(desired, dict) and isinstance(live, dict):
        for name, value in desired.items():
            if name in live:
                yield from _steps(value, live[name], f"{path}/{_escape(name)}")
    elif isinstance(desired, list) and isinstance(live, list) and _foreign(desired, live):
        yield {"op": "replace", "path": path, "value": desired}


def _foreign(desired: list[Any], live: list[Any]) -> bool:
    """Whether live holds an object that contains none of Git's."""
    if not desired or not all(isinstance(item, dict) for item in (*desired, *live)):
        return False
    return any(not any(_contains(item, wanted) for wanted in desired) for item in live)


def _contains(item: Any, wanted: Any) -> bool:
    """Whether a live value is Git's with defaults added."""
    if isinstance(wanted, dict):
        return isinstance(item, dict) and all(name in item and _contains(item[name], wanted[name]) for name in wanted)
    return bool(item == wanted)


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
