"""Taking over objects that other tools made: whose fields become ours, and what goes because Git does not set it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from driftline.drift.authors import Authors
from driftline.drift.context import Context
from driftline.drift.dropped import default_at, still_there, type_at
from driftline.drift.fields import FieldSet, claims_of, entries_of, owned_by
from driftline.drift.ignore import sift
from driftline.drift.report import fields
from driftline.drift.values import same
from driftline.model.drift import FieldDrift
from driftline.model.marks import MANAGER
from driftline.model.objects import Object, annotations_of

MIGRATED: Final = ("kubectl-client-side-apply", "kubectl-create", "before-first-apply", "helm", "argocd-controller")
"""Managers whose Update entries an adoption takes over, unless a setting says otherwise."""

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
RIVAL: Final = "argocd-controller"

Step = dict[str, Any]


@dataclass(frozen=True)
class Taken:
    """What an adoption takes over from others."""

    fields: FieldSet
    entries: tuple[Mapping[str, Any], ...]


def migration(
    live: Object, managers: Iterable[str] = MIGRATED, *, manager: str = MANAGER, applies: bool = False
) -> list[Step] | None:
    """The JSON patch that makes the fields of other managers ours, so that the next apply drops what Git lacks.

    Only entries without subresource count; Apply entries only if `applies`. None if there is nothing to take over. The
    patch fails with 409 or 422 if the object has changed since `live` was read.
    """
    taken = _taken(live, frozenset(managers), applies)
    annotated = LAST_APPLIED in annotations_of(live)
    if not taken.entries and not annotated:
        return None
    metadata = live["metadata"]
    steps: list[Step] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
    ]
    if taken.entries:
        steps.append({"op": "replace", "path": "/metadata/managedFields", "value": _ours(live, taken, manager)})
    if annotated:
        name = LAST_APPLIED.replace("/", "~1")
        steps.append({"op": "remove", "path": f"/metadata/annotations/{name}"})
    return steps


def will_go(
    desired: Object, live: Object, context: Context, managers: Iterable[str] = MIGRATED, *, applies: bool = False
) -> tuple[FieldDrift, ...]:
    """Each field that adopting the object removes: taken over from others, not in Git, and held by nobody else."""
    taken = _taken(live, frozenset(managers), applies)
    owned = owned_by(live, context.manager)
    sifted = sift(desired, live, None, context)
    once = sifted.fields(taken.fields.union(owned[0]) if owned else taken.fields)
    claimed = sifted.fields(claims_of(desired, context.type).fields)
    rest = Authors(_without_entries(live, taken), context.manager)
    going = [
        each
        for each in still_there(live, once, claimed, context)
        if not rest.others(each.path) and not _is_default(each.live, each.path, context)
    ]
    return fields(going, Authors(live, context.manager))


def rival_wrote(live: Object, since: str, managers: Iterable[str] = (RIVAL,)) -> str:
    """The manager among `managers` that wrote at or after `since` (RFC 3339, UTC, seconds), or empty."""
    rivals = frozenset(managers)
    for entry in entries_of(live):
        if entry.get("manager") in rivals and str(entry.get("time", "")) >= since:
            return str(entry["manager"])
    return ""


def _taken(live: Object, managers: frozenset[str], applies: bool) -> Taken:
    entries = tuple(
        entry
        for entry in entries_of(live)
        if entry.get("manager") in managers
        and not entry.get("subresource")
        and (entry.get("operation") == "Update" or (applies and entry.get("operation") == "Apply"))
    )
    found = FieldSet()
    for entry in entries:
        found = found.union(FieldSet.parse(entry.get("fieldsV1")))
    # kubectl's own annotation goes with it, and is nobody's loss.
    return Taken(found.without(("f:metadata", "f:annotations", f"f:{LAST_APPLIED}")), entries)


def _ours(live: Object, taken: Taken, manager: str) -> list[Mapping[str, Any]]:
    """`managedFields` with the taken entries folded into one Apply entry of ours."""
    owned = owned_by(live, manager)
    kept = [
        entry for entry in _rest(live, taken) if (entry.get("manager"), entry.get("operation")) != (manager, "Apply")
    ]
    kept += [
        entry
        for entry in _rest(live, taken)
        if (entry.get("manager"), entry.get("operation")) == (manager, "Apply") and entry.get("subresource")
    ]
    newest = max(taken.entries, key=lambda entry: str(entry.get("time", "")))
    fields_ = taken.fields.union(owned[0]) if owned else taken.fields
    mine = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": owned[1] if owned else newest.get("apiVersion"),
        "time": newest.get("time"),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields_.to_fields_v1(),
    }
    return [mine, *kept]


def _rest(live: Object, taken: Taken) -> list[Mapping[str, Any]]:
    return [entry for entry in entries_of(live) if entry not in taken.entries]


def _without_entries(live: Object, taken: Taken) -> Object:
    return {**live, "metadata": {**live["metadata"], "managedFields": _rest(live, taken)}}


def _is_default(value: Any, path: tuple[str, ...], context: Context) -> bool:
    default = default_at(context.type, path)
    return default is not None and same(value, default, type_at(context.type, path))
