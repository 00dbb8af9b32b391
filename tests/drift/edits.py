"""Random hands: edits of live objects and of Git, drawn by hypothesis from what the object at hand holds."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from driftline.model.marks import INSTALLATION_LABEL, TRACKING_ANNOTATION
from driftline.model.objects import Object
from tests.drift.history import APPLY, JSON, MERGE, History

Pointer = tuple[str | int, ...]

HANDS = (
    "merge",
    "json",
    "replace",
    "other apply",
    "same apply",
    "unlabel",
    "wipe",
    "status",
    "commit",
    "deploy",
    "repair",
)
NUMBERS = (0, 1, 2, 3, 7, 30)
WORDS = ("a", "b", "other", "")
CHOICES: dict[str, tuple[Any, ...]] = {
    "type": ("RollingUpdate", "OnDelete", "ClusterIP", "LoadBalancer", "NodePort"),
    "protocol": ("TCP", "UDP"),
    "concurrencyPolicy": ("Allow", "Forbid", "Replace"),
    "schedule": ("*/5 * * * *", "1 2 * * *"),
    "sessionAffinity": ("None", "ClientIP"),
    "imagePullPolicy": ("Always", "IfNotPresent"),
    "cpu": ("1", "1000m", "500m", 2),
    "memory": ("1Gi", "1024Mi", "2Gi"),
    "whenUnsatisfiable": ("ScheduleAnyway", "DoNotSchedule"),
    "operator": ("Exists", "Equal"),
    "pathType": ("Prefix", "Exact"),
    "protocols": ("TCP",),
}


def edit(history: History, data: st.DataObject) -> str:
    """One random act by somebody; the API server may refuse it. Says what was tried, with `!` if it was refused."""
    hand = data.draw(st.sampled_from(HANDS), label="hand")
    status = _ACTS[hand](history, data)
    return hand if status < 300 else f"{hand}!"


def _merge(history: History, data: st.DataObject) -> int:
    """`kubectl edit` of one field: another value, or gone."""
    live = history.live()
    at = data.draw(st.sampled_from(list(fields(_editable(live)))), label="field")
    body: Any = _changed(_value(live, at), at, data)
    for part in reversed(_above_lists(at)):
        body = {part: body}
    if len(_above_lists(at)) < len(at):
        return _json_edit(history, live, at, data)
    return history.patch_as("kubectl-edit", body, MERGE)[0]


def _json(history: History, data: st.DataObject) -> int:
    """A JSON patch inside lists: swap, drop, double, insert."""
    live = history.live()
    lists = [at for at in fields(_editable(live)) if isinstance(_value(live, at), list) and _value(live, at)]
    if not lists:
        return 400
    at = data.draw(st.sampled_from(lists), label="list")
    items = list(_value(live, at))
    act = data.draw(st.sampled_from(("swap", "drop", "insert", "reverse")), label="act")
    index = data.draw(st.integers(0, len(items) - 1), label="index")
    if act == "drop":
        del items[index]
    elif act == "reverse":
        items.reverse()
    elif act == "swap":
        items.append(items.pop(index))
    else:
        items.insert(index, _renamed(copy.deepcopy(items[index])))
    step = {"op": "replace", "path": _pointer(at), "value": items}
    return history.patch_as("kubectl-patch", [step], JSON)[0]


def _replace(history: History, data: st.DataObject) -> int:
    """PUT of the whole object with one field changed."""
    live = history.live()
    at = data.draw(st.sampled_from(list(fields(_editable(live)))), label="field")
    body = _set(live, at, _changed(_value(live, at), at, data))
    return history.server.call("PUT", history.target(fieldManager="kubectl-replace"), body)[0]


def _other_apply(history: History, data: st.DataObject) -> int:
    """Another team applies a part of the object, with a value of its own."""
    body = _part(history, data)
    at = data.draw(st.sampled_from(list(fields(_editable(body)))), label="field")
    value = _changed(_value(body, at), at, data)
    return history.patch_as("other-team", body if value is None else _set(body, at, value), APPLY)[0]


def _same_apply(history: History, data: st.DataObject) -> int:
    """Another team applies a part of the object exactly as Git has it: it owns that part, too."""
    return history.patch_as("other-team", _part(history, data), APPLY)[0]


def _unlabel(history: History, data: st.DataObject) -> int:
    mark = data.draw(st.sampled_from(("labels", "annotations")), label="mark")
    name = INSTALLATION_LABEL if mark == "labels" else TRACKING_ANNOTATION
    return history.patch_as("kubectl-label", {"metadata": {mark: {name: None}}}, MERGE)[0]


def _wipe(history: History, data: st.DataObject) -> int:
    return history.patch_as("wiper", {"metadata": {"managedFields": [{}]}}, MERGE)[0]


def _status(history: History, data: st.DataObject) -> int:
    """A controller reports something: never drift."""
    body = {"status": {"observedGeneration": data.draw(st.sampled_from(NUMBERS))}}
    return history.patch_as("controller", body, MERGE, sub="status")[0]


def _commit(history: History, data: st.DataObject) -> int:
    """Git changes; nothing is applied yet. Only what the API server would take counts as a revision."""
    before = history.git
    history.git = _revision(before, data)
    if "name" not in history.git.get("metadata", {}):
        history.git = before
    status, _ = history.patch_as("driftline", history.desired, APPLY, dryRun="All")
    status = max(status, history.try_fresh()[0])
    if status >= 300:
        history.git = before
    return status


def _deploy(history: History, data: st.DataObject) -> int:
    """A new revision, applied at once."""
    status = _commit(history, data)
    return status if status >= 300 else history.apply()[0]


def _repair(history: History, data: st.DataObject) -> int:
    history.repair()
    return 200


_ACTS = {
    "merge": _merge,
    "json": _json,
    "replace": _replace,
    "other apply": _other_apply,
    "same apply": _same_apply,
    "unlabel": _unlabel,
    "wipe": _wipe,
    "status": _status,
    "commit": _commit,
    "deploy": _deploy,
    "repair": _repair,
}


def fields(body: Any, at: Pointer = ()) -> Iterator[Pointer]:
    """Every place in a value but the root: fields, list items, and what is in them."""
    inside: Any = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for part, value in inside:
        yield (*at, part)
        yield from fields(value, (*at, part))


def _editable(body: Object) -> Object:
    found = {name: value for name, value in body.items() if name not in ("apiVersion", "kind", "status", "metadata")}
    if "metadata" not in body:
        return found
    kept = {name: value for name, value in body["metadata"].items() if name in ("labels", "annotations")}
    return {**found, "metadata": kept}


def _changed(value: Any, at: Pointer, data: st.DataObject) -> Any:
    """Another value for a field, or None: take it away."""
    name = next((part for part in reversed(at) if isinstance(part, str)), "")
    if data.draw(st.integers(0, 3), label="take away") == 0:
        return None
    if name in CHOICES and not isinstance(value, dict | list):
        return data.draw(st.sampled_from(CHOICES[name]), label="value")
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return data.draw(st.sampled_from(NUMBERS), label="number")
    if isinstance(value, str):
        return data.draw(st.sampled_from((*WORDS, f"{value}x")), label="word")
    if isinstance(value, dict):
        key = data.draw(st.sampled_from(("a", "added", "b")), label="key")
        return {**value, key: data.draw(st.sampled_from(WORDS), label="word")}
    return list(reversed(value)) if value else []


def _revision(git: Object, data: st.DataObject) -> Object:
    at = data.draw(st.sampled_from(list(fields(_editable(git)))), label="git field")
    value = _changed(_value(git, at), at, data)
    revision: Object = _without(git, at) if value is None else _set(git, at, value)
    return revision


def _part(history: History, data: st.DataObject) -> Object:
    """A part of Git's object that can stand alone: some top-level fields, some fields of spec."""
    body = copy.deepcopy(history.desired)
    metadata = {name: body["metadata"][name] for name in ("name", "namespace", "labels", "annotations")}
    part: Object = {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": metadata}
    for name, value in body.items():
        if name in part:
            continue
        if isinstance(value, dict) and name in ("spec", "data"):
            part[name] = {key: inner for key, inner in value.items() if data.draw(st.booleans(), label=f"keep {key}")}
        else:
            part[name] = value
    return part


def _json_edit(history: History, live: Object, at: Pointer, data: st.DataObject) -> int:
    value = _changed(_value(live, at), at, data)
    step: Object = {"op": "remove", "path": _pointer(at)}
    if value is not None:
        step = {"op": "replace", "path": _pointer(at), "value": value}
    return history.patch_as("kubectl-edit", [step], JSON)[0]


def _renamed(item: Any) -> Any:
    """A new list item like another one."""
    if isinstance(item, str):
        return f"{item}-new"
    if isinstance(item, dict):
        for key in ("name", "ip", "topologyKey"):
            if key in item:
                return {**item, key: "10.9.9.9" if key == "ip" else f"{item[key]}-new"}
    return item


def _above_lists(at: Pointer) -> Pointer:
    return next((at[:index] for index, part in enumerate(at) if isinstance(part, int)), at)


def _pointer(at: Pointer) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in at)


def _value(body: Any, at: Pointer) -> Any:
    for part in at:
        body = body[part]
    return body


def _set(body: Any, at: Pointer, value: Any) -> Any:
    if not at:
        return value
    found = copy.copy(body)
    found[at[0]] = _set(body[at[0]], at[1:], value)
    return found


def _without(body: Any, at: Pointer) -> Any:
    found = copy.copy(body)
    if len(at) == 1:
        del found[at[0]]
    else:
        found[at[0]] = _without(body[at[0]], at[1:])
    return found
