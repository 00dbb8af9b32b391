"""Git says, live has: what is drifted, told without the product's comparison and without a dry run of apply.

What a fresh object made from Git would hold comes from the API server itself (a POST with dryRun, elsewhere). How lists
pair and what is one value is written here by hand from the API reference, not read from a schema.
"""

from collections.abc import Iterator
from typing import Any

from driftline.model.objects import Object

Where = tuple[str, ...]

ABSENT = object()
PAIRED = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "secrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "steps": ("name", "kind"),
    "tags": ("",),
    "finalizers": ("",),
}
WHOLE = {"podSelector", "nodeSelector", "labelSelector", "selector", "whole", "fieldRef"}
DEFAULT_KEYS = {"protocol": "TCP", "kind": "shell"}


MAPS = {"nodeSelector", "labels", "annotations", "matchLabels", "data", "binaryData", "limits", "requests", "hard"}
"""Maps of free keys in built-in kinds: these store no difference between empty and absent."""


def drifted(git: Object, live: Object, fresh: Object) -> set[Where]:
    """Every place that Git sets and where live is not what it says: values and order."""
    return set(_apart(_content(git), _content(live), _content(fresh), ()))


def left_behind(before: Object, git: Object, live: Object, fresh: Object) -> set[Where]:
    """Every place that Git once set, does not set any more, and that live still has."""
    return set(_left(_content(before), _content(git), _content(live), _content(fresh), ()))


def _content(body: Object) -> Object:
    rest = {name: value for name, value in body.items() if name not in ("apiVersion", "kind", "status", "metadata")}
    metadata = body.get("metadata", {})
    kept = {name: metadata[name] for name in ("labels", "annotations", "finalizers") if name in metadata}
    return {**rest, "metadata": kept}


def _apart(git: Any, live: Any, fresh: Any, at: Where) -> Iterator[Where]:
    """Places that Git sets and where live and a fresh object are not the same."""
    if isinstance(git, dict) and isinstance(live, dict) and isinstance(fresh, dict) and not _is_whole(at):
        for name, value in git.items():
            yield from _apart(value, live.get(name, ABSENT), fresh.get(name, ABSENT), (*at, name))
    elif isinstance(git, list) and isinstance(live, list) and isinstance(fresh, list) and (keys := _keys(at)):
        ours = [_key(item, keys) for item in git]
        for key, item in zip(ours, git, strict=True):
            yield from _apart(item, _item(live, key, keys), _item(fresh, key, keys), (*at, str(key)))
        order = [key for item in live if (key := _key(item, keys)) in ours]
        if order != [key for key in ours if key in order]:
            yield at
    elif live != fresh and not (_nothing(live, at) and _nothing(fresh, at)):
        yield at


def _left(before: Any, git: Any, live: Any, fresh: Any, at: Where) -> Iterator[Where]:
    """Places that an earlier revision set, that Git does not set any more, and where live is unlike a fresh object."""
    if live is ABSENT:
        return
    keys = _keys(at)
    if isinstance(before, dict) and isinstance(live, dict) and not _is_whole(at):
        if git is ABSENT or isinstance(git, dict):
            for name, value in before.items():
                now, there, then = (_member(side, name) for side in (git, live, fresh))
                yield from _left(value, now, there, then, (*at, name))
            # An empty map that Git dropped says nothing of what is in it.
            if git is ABSENT and not live and fresh is ABSENT:
                yield at
    elif isinstance(before, list) and isinstance(live, list) and keys:
        if git is ABSENT or isinstance(git, list):
            for item in before:
                key = _key(item, keys)
                there, then = _item(git, key, keys), _item(live, key, keys)
                if there is ABSENT and then is not ABSENT and _item(fresh, key, keys) is ABSENT:
                    yield (*at, str(key))
                else:
                    yield from _left(item, there, then, _item(fresh, key, keys), (*at, str(key)))
    elif git is ABSENT and live != fresh and not (_nothing(live, at) and _nothing(fresh, at)):
        yield at


def _is_whole(at: Where) -> bool:
    """Whether a map at this place is one value. The selector of a Gadget's or Deployment's kind of struct is, too."""
    return bool(at) and (at[-1] in WHOLE or at[-2:-1] in (("imagePullSecrets",), ("secrets",)))


def _keys(at: Where) -> tuple[str, ...]:
    name = at[-1] if at else ""
    if name == "ports":
        return ("port", "protocol") if at == ("spec", "ports") else ("containerPort", "protocol") if len(at) > 3 else ()
    if name == "imagePullSecrets":
        return ("name",) if len(at) > 1 else ()
    return PAIRED.get(name, ())


def _key(item: Any, keys: tuple[str, ...]) -> tuple[Any, ...]:
    return (item,) if keys == ("",) else tuple(item.get(key, DEFAULT_KEYS.get(key)) for key in keys)


def _item(items: Any, key: tuple[Any, ...], keys: tuple[str, ...]) -> Any:
    found = items if isinstance(items, list) else []
    return next((item for item in found if _key(item, keys) == key), ABSENT)


def _member(body: Any, name: str) -> Any:
    return body.get(name, ABSENT) if isinstance(body, dict) else ABSENT


def _nothing(value: Any, at: Where) -> bool:
    if value is ABSENT or value is None:
        return True
    return (value == {} and at[-1] in MAPS) or (value == [] and at[-1] not in ("steps", "tags", "ordered"))
