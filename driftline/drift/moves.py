"""Whether live moved under an approved plan: another object, or other values where the plan writes."""

from collections.abc import Iterable
from typing import Any

from driftline.drift.paths import NOTHING, locate
from driftline.drift.schema import Type
from driftline.drift.values import same
from driftline.model.drift import ABSENT, FieldDrift
from driftline.model.objects import Object


def moved_since(live: Object | None, uid: str, recorded: Iterable[FieldDrift], type_: Type | None = None) -> str:
    """What is no longer as the plan saw it, in words; empty if nothing that the plan writes has moved.

    `recorded` are the fields of the plan's change, with the live values of that time. Everything else may change.
    """
    found = str(((live or {}).get("metadata") or {}).get("uid", ""))
    if uid != found:
        return f"uid is {found or 'gone'}, was {uid or 'none'}"
    for field in recorded:
        if field.elements and not _same(field.live, _value(live, field, type_)):
            return f"{field.path} has changed since the plan was made"
    return ""


def _value(live: Object | None, field: FieldDrift, type_: Type | None) -> Any:
    found = locate(live, field.elements, type_)
    return NOTHING if found is None else found[1]


def _same(recorded: Any, value: Any) -> bool:
    if recorded == ABSENT or value is NOTHING:
        return recorded == ABSENT and value is NOTHING
    return same(recorded, value)
