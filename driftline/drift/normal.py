"""The last touch before an object is compared and before it is applied: both must see the same."""

import base64
from collections.abc import Mapping
from typing import Any, Final

from driftline.model.objects import Kind, Object, group_of

_SERVERS: Final = frozenset(
    {
        *("uid", "resourceVersion", "generation", "creationTimestamp", "selfLink", "managedFields"),
        *("deletionTimestamp", "deletionGracePeriodSeconds"),
    }
)
_WITH_PODS: Final = frozenset(
    {
        *(Kind("", kind) for kind in ("Pod", "PodTemplate", "ReplicationController")),
        *(Kind("apps", kind) for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")),
        *(Kind("batch", kind) for kind in ("Job", "CronJob")),
    }
)


def prepare(desired: Object) -> Object:
    """A copy without what only the server may set, with `stringData` folded into `data` and no repeated `env` names.

    Of an environment variable that is set twice the last one counts, as it does in the container. Server-side apply
    would refuse both. Preparing twice changes nothing.
    """
    body = {name: value for name, value in desired.items() if name != "status"}
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        body["metadata"] = {name: value for name, value in metadata.items() if name not in _SERVERS}
    if _kind(body) == Kind("", "Secret"):
        body = _folded(body)
    cleaned: Object = _clean(body, _kind(body) in _WITH_PODS)
    return cleaned


def warnings(desired: Mapping[str, Any]) -> tuple[str, ...]:
    """What `prepare` leaves out that its author may have meant: earlier entries of repeated `env` names."""
    found: list[str] = []
    if _kind(desired) in _WITH_PODS:
        _collect(desired, "", found)
    return tuple(found)


def _kind(body: Mapping[str, Any]) -> Kind:
    return Kind(group_of(str(body.get("apiVersion", ""))), str(body.get("kind", "")))


def _folded(secret: Object) -> Object:
    plain = secret.get("stringData", {})
    if plain is not None and not (isinstance(plain, dict) and all(isinstance(text, str) for text in plain.values())):
        return secret  # The API server says best what is wrong with it.
    body = {name: value for name, value in secret.items() if name != "stringData"}
    if plain:
        encoded = {name: base64.b64encode(text.encode()).decode() for name, text in plain.items()}
        body["data"] = {**(body.get("data") or {}), **encoded}
    return body


def _clean(value: Any, pods: bool) -> Any:
    if isinstance(value, dict):
        return {name: _clean(_tidy(name, inner, pods), pods) for name, inner in value.items()}
    if isinstance(value, list):
        return [_clean(item, pods) for item in value]
    return value


def _tidy(name: str, value: Any, pods: bool) -> Any:
    if name == "metadata" and isinstance(value, dict) and value.get("creationTimestamp", "") is None:
        # Generators write it into every template. Null is not absent to the API server, and nobody means it.
        return {name: inner for name, inner in value.items() if name != "creationTimestamp"}
    if pods and name == "env" and _is_env(value):
        last = {item["name"]: index for index, item in enumerate(value)}
        return [item for index, item in enumerate(value) if last[item["name"]] == index]
    return value


def _is_env(env: Any) -> bool:
    return isinstance(env, list) and all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in env)


def _collect(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            where = f"{path}.{name}" if path else name
            if name == "env" and _is_env(inner):
                names = [item["name"] for item in inner]
                repeated = sorted({each for each in names if names.count(each) > 1})
                found += [f"{where}: {each} is set more than once; the last one counts" for each in repeated]
            _collect(inner, where, found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _collect(item, f"{path}[{index}]", found)
