"""Fields that Git dropped and that no apply removes. Called with the leftovers of a verdict."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from driftline.drift.dropped import ALIASES
from driftline.drift.fields import FieldSet, entries_of, owned_by
from driftline.drift.paths import Path, json_pointer, locate
from driftline.drift.schema import Type
from driftline.model.drift import FieldDrift, Verdict, VerdictState
from driftline.model.marks import MANAGER
from driftline.model.objects import Object

Step = dict[str, Any]


def removal_patch(live: Object, leftovers: Iterable[FieldDrift], type_: Type | None = None) -> list[Step]:
    """The JSON patch that removes leftovers. It fails if the object, or one of the values, is no longer as in `live`.

    Leftovers that live no longer has are left out.
    """
    paths = [path for each in leftovers if each.elements for path in _with_alias(each.elements)]
    places = [found for path in paths if (found := locate(live, path, type_))]
    # From the end of each list to its beginning: what is removed then moves nothing that is still to be removed.
    places.sort(key=lambda found: [(isinstance(part, int), part) for part in found[0]], reverse=True)
    steps = _unchanged(live)
    for place, value in places:
        pointer = json_pointer(place)
        steps += [{"op": "test", "path": pointer, "value": value}, {"op": "remove", "path": pointer}]
    return steps


def release_patch(live: Object, leftovers: Iterable[FieldDrift], manager: str = MANAGER) -> list[Step]:
    """The JSON patch that makes leftovers ours alone without touching a value; the next apply then removes them.

    For leftovers that cannot go by themselves, because without what the apply brings the object would not be valid.
    Every other manager loses these fields. Fails with 409 or 422 if the object is no longer as in `live`.
    """
    paths = [each.elements for each in leftovers if each.elements]
    entries = []
    for entry in entries_of(live):
        held = FieldSet.parse(entry.get("fieldsV1"))
        ours = (entry.get("manager"), entry.get("operation"), entry.get("subresource") or "") == (manager, "Apply", "")
        for path in paths:
            held = held.union(FieldSet.of(path)) if ours else held.without(path)
        entries.append({**entry, "fieldsV1": held.to_fields_v1()})
    if owned_by(live, manager) is None:
        mine = {"manager": manager, "operation": "Apply", "apiVersion": live["apiVersion"], "fieldsType": "FieldsV1"}
        entries.append({**mine, "fieldsV1": FieldSet.of(*paths).to_fields_v1()})
    return [
        *_unchanged(live),
        {"op": "replace", "path": "/metadata/managedFields", "value": [one for one in entries if one["fieldsV1"]]},
    ]


def settle(verdict: Verdict, answers: Mapping[str, Object | None], type_: Type | None = None) -> Verdict:
    """Keep only the leftovers that a removal really removes.

    `answers` holds, by the leftover's path, the object after a dry run of its `removal_patch`, or None if that was
    refused (then it stays a leftover). A value that comes back is a default: a fresh object made from Git has it, too.
    """
    refused = {each.elements[:-1] for each in verdict.leftovers if answers.get(each.path, each) is None}
    # A default that comes back only because its struct cannot go piece by piece goes with the struct.
    kept = tuple(each for each in verdict.leftovers if _removes(each, answers, type_) or each.elements[:-1] in refused)
    if verdict.state is not VerdictState.DRIFTED or verdict.fields or kept:
        return replace(verdict, leftovers=kept)
    return replace(
        verdict, state=VerdictState.CLAIM, leftovers=(), reason="Git dropped what the server sets by default"
    )


def _with_alias(path: Path) -> list[Path]:
    twin = ALIASES.get(path[-1])
    return [path] if twin is None else [path, (*path[:-1], twin)]


def _unchanged(live: Object) -> list[Step]:
    metadata = live["metadata"]
    return [
        {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
    ]


def _removes(leftover: FieldDrift, answers: Mapping[str, Object | None], type_: Type | None) -> bool:
    if leftover.path not in answers:
        return True
    answer = answers[leftover.path]
    if answer is None:
        return True
    found = locate(answer, leftover.elements, type_)
    return found is None or found[1] != leftover.live
