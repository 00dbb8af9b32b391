"""One object in the form in which it is compared and applied: nothing the server writes, nothing that never settles.

Called by `finalise`. Each function returns a new object and leaves the given one alone.
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from driftline.model.errors import Permanent
from driftline.model.objects import Object

_SERVERS_FIELDS = ("managedFields", "resourceVersion", "uid", "generation", "selfLink", "deletionTimestamp")
_POD_LISTS = ("initContainers", "containers", "ephemeralContainers")
_TEMPLATES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): (),
    ("", "PodTemplate"): ("template",),
    ("", "ReplicationController"): ("spec", "template"),
    ("apps", "Deployment"): ("spec", "template"),
    ("apps", "StatefulSet"): ("spec", "template"),
    ("apps", "DaemonSet"): ("spec", "template"),
    ("apps", "ReplicaSet"): ("spec", "template"),
    ("batch", "Job"): ("spec", "template"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
}
"""Where each built-in kind keeps its Pod template."""


def cleaned(body: Object, group: str, kind: str, warn: Callable[[str], None]) -> Object:
    """The object without status and server-set metadata, Secrets with `data` only, each env name once.

    `warn` hears what was changed that a person may want to know. Raises Permanent, without key or value of anything
    secret, for a Secret that cannot be one.
    """
    found = {name: value for name, value in body.items() if name != "status"}
    found["metadata"] = _metadata(body["metadata"], warn)
    if (group, kind) == ("", "Secret"):
        found = folded(found)
    template = _TEMPLATES.get((group, kind))
    if template is not None:
        found = _settled(found, template, warn)
    return found


def _metadata(metadata: Mapping[str, Any], warn: Callable[[str], None]) -> Object:
    given = [name for name in _SERVERS_FIELDS if name in metadata]
    if given:
        warn(f"metadata.{', metadata.'.join(given)}: set by the server, left out")
    return {name: value for name, value in metadata.items() if name not in given and name != "creationTimestamp"}


def folded(secret: Object) -> Object:
    """A Secret whose `stringData` has become part of `data`, which is in the server's spelling of base64.

    An applied `stringData` would keep keys in `data` for ever that Git has dropped. Raises Permanent naming the path.
    """
    plain, encoded = secret.get("stringData"), secret.get("data")
    for name, given in (("data", encoded), ("stringData", plain)):
        if given is not None and not isinstance(given, dict):
            raise Permanent(f"{name}: want a map")
    if not plain and not encoded:
        return {name: value for name, value in secret.items() if name != "stringData"}
    data: dict[str, str] = {}
    for name, value in (encoded or {}).items():
        data[name] = _base64(name, value)
    for name, value in (plain or {}).items():
        if value is not None and not isinstance(value, str):
            raise Permanent(f"stringData.{name}: want a text: put it in quotes")
        data[name] = base64.b64encode((value or "").encode()).decode()
    return {**{name: value for name, value in secret.items() if name != "stringData"}, "data": data}


def _base64(name: str, value: Any) -> str:
    """The value as the server writes it: Go ignores line breaks in base64."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Permanent(f"data.{name}: want base64 text: put it in quotes")
    try:
        return base64.b64encode(base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)).decode()
    except (binascii.Error, ValueError):
        raise Permanent(f"data.{name}: not valid base64; use stringData for plain text") from None


def _settled(body: Object, path: tuple[str, ...], warn: Callable[[str], None]) -> Object:
    """The object with the null creationTimestamps of its templates dropped and each env name given once."""
    if not path:
        spec = body.get("spec")
        return {**body, "spec": _pod_spec(spec, warn)} if isinstance(spec, dict) else body
    inner = body.get(path[0])
    if not isinstance(inner, dict):
        return body
    inner = _settled(inner, path[1:], warn)
    if path[0] in ("template", "jobTemplate"):
        inner = _without_null_time(inner)
    claims = inner.get("volumeClaimTemplates")
    if isinstance(claims, list):
        inner = {**inner, "volumeClaimTemplates": [_claim(claim) for claim in claims]}
    return {**body, path[0]: inner}


def _claim(claim: Any) -> Any:
    """A volume claim template without the status that exporters write into it."""
    if not isinstance(claim, dict):
        return claim
    return _without_null_time({name: value for name, value in claim.items() if name != "status"})


def _without_null_time(template: Object) -> Object:
    metadata = template.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("creationTimestamp", "") is not None:
        return template
    kept = {name: value for name, value in metadata.items() if name != "creationTimestamp"}
    return {**template, "metadata": kept}


def _pod_spec(spec: Object, warn: Callable[[str], None]) -> Object:
    changed = {}
    for name in _POD_LISTS:
        containers = spec.get(name)
        if isinstance(containers, list) and any(_repeated(each) for each in containers):
            changed[name] = [_once(each, warn) for each in containers]
    return {**spec, **changed} if changed else spec


def _names(container: Any) -> Iterator[Any]:
    env = container.get("env") if isinstance(container, dict) else None
    for variable in env if isinstance(env, list) else ():
        yield variable.get("name") if isinstance(variable, dict) else None


def _repeated(container: Any) -> bool:
    names = [name for name in _names(container) if isinstance(name, str)]
    return len(set(names)) != len(names)


def _once(container: Any, warn: Callable[[str], None]) -> Any:
    """A container whose env has each name once, the last: server-side apply refuses doubles, kubelet takes the last."""
    names = list(_names(container))
    last = {name: position for position, name in enumerate(names) if isinstance(name, str)}
    doubled = sorted({name for name in last if names.count(name) > 1})
    if not doubled:
        return container
    warn(f"container {container.get('name')!r}: env {', '.join(doubled)} given more than once; the last counts")
    env = [each for position, each in enumerate(container["env"]) if last.get(names[position], position) == position]
    return {**container, "env": env}
