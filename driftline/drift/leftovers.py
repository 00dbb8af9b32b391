"""Fields that Git dropped and that no apply removes. Called with the leftovers of a verdict."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from driftline.drift.paths import json_pointer, locate
from driftline.drift.schema import Type
from driftline.model.drift import FieldDrift, Verdict, VerdictState
from driftline.model.objects import Object

Step = dict[str, Any]


def removal_patch(live: Object, leftovers: Iterable[FieldDrift], type_: Type | None = None) -> list[Step]:
    """The JSON patch that removes leftovers. It fails if the object, or one of the values, is no longer as in `live`.

    Leftovers that live no longer has are left out.
    """
    places = [found for each in leftovers if (found := locate(live, each.elements, type_)) and each.elements]
    # From the end of each list to its beginning: what is removed then moves nothing that is still to be removed.
    places.sort(key=lambda found: [(isinstance(part, int), part) for part in found[0]], reverse=True)
    metadata = live["metadata"]
    steps: list[Step] = [
        {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
    ]
    for place, value in places:
        pointer = json_pointer(place)
        steps += [{"op": "test", "path": pointer, "value": value}, {"op": "remove", "path": pointer}]
    return steps


def settle(verdict: Verdict, answers: Mapping[str, Object | None], type_: Type | None = None) -> Verdict:
    """Keep only the leftovers that a removal really removes.

    `answers` holds, by the leftover's path, the object after a dry run of its `removal_patch`, or None if that was
    refused. A value that comes back is a default: a fresh object made from Git would hold it, too.
    """
    kept = tuple(each for each in verdict.leftovers if _removes(each, answers, type_))
    if verdict.state is not VerdictState.DRIFTED or verdict.fields or kept:
        return replace(verdict, leftovers=kept)
    return replace(
        verdict, state=VerdictState.CLAIM, leftovers=(), reason="Git dropped what the server sets by default"
    )


def _removes(leftover: FieldDrift, answers: Mapping[str, Object | None], type_: Type | None) -> bool:
    if leftover.path not in answers:
        return True
    answer = answers[leftover.path]
    if answer is None:
        return False
    found = locate(answer, leftover.elements, type_)
    return found is None or found[1] != leftover.live
