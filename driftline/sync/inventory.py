"""The inventory around a sync: wider before the first write, narrower after a confirmed deletion (design, rule 3)."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from driftline.model.objects import Key, Object, annotations_of
from driftline.model.plan import Change, Op, Plan
from driftline.sync.given import Owned
from driftline.sync.options import seen
from driftline.sync.order import wave_of
from driftline.sync.planning import is_managed_namespace

_CLAIMS = frozenset({Op.CREATE, Op.UPDATE, Op.ADOPT, Op.CLAIM, Op.RECREATE})


def claims(change: Change) -> bool:
    """Whether a change makes its object the application's: neither hooks nor namespaces made on request do."""
    return change.op in _CLAIMS and not is_managed_namespace(change)


def widen(owned: Mapping[Key, Owned], plan: Plan) -> Mapping[Key, Owned]:
    """Every row that the application may own while `plan` runs.

    Saved before the first write: if the worker dies halfway, the next sync still finds what was made. A new row has
    no digest until the answer to its write is recorded.
    """
    rows = dict(owned)
    for wave in plan.waves:
        for change in wave.changes:
            if claims(change) and change.key not in rows:
                rows[change.key] = Owned(uid=change.uid, wave=wave.number)
    return rows


def recorded(owned: Mapping[Key, Owned], change: Change, uid: str, body: Object) -> Mapping[Key, Owned]:
    """The rows after one change was written: `uid` is the answer's, `body` the desired object."""
    if not claims(change):
        return owned
    row = Owned(uid, change.desired_digest, wave_of(annotations_of(body)), seen(body))
    return {**owned, change.key: row}


def narrow(owned: Mapping[Key, Owned], confirmed: Collection[Key]) -> Mapping[Key, Owned]:
    """The rows that remain once the objects of `confirmed` are known to be gone: a GET by name answered 404."""
    return {key: row for key, row in owned.items() if key not in confirmed}


def unconfirmed(owned: Mapping[Key, Owned], key: Key) -> Mapping[Key, Owned]:
    """The rows when an object turned out to be gone while Git still wants it: kept, to be made again."""
    return {**owned, key: replace(owned[key], uid="", desired_digest="")} if key in owned else owned
