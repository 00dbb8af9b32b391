"""Keep drift as intervals with an author, and tell people when it begins and ends. Called by `standing`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from driftline.adapters import metrics
from driftline.adapters.store import drifts
from driftline.adapters.store.drifts import FieldFound
from driftline.alerts.texts import drift_facts
from driftline.flow.edges import Edges
from driftline.flow.looking import NOT_DRIFT, Look
from driftline.flow.plans import fields_view
from driftline.flow.situation import Situation
from driftline.model.alert import Condition, Signal
from driftline.model.digests import digest
from driftline.model.drift import Verdict, VerdictState
from driftline.model.objects import Key
from driftline.sync.automation import drift_fingerprint
from driftline.sync.fights import Fight


def record_drift(db: Connection, edges: Edges, found: Look) -> None:
    """Open an interval for each field that drifts, and close those of objects that are well again."""
    situation, now = found.situation, edges.now()
    drifted = found.drifted
    secret = edges.settings.signing_key.encode()
    fields = {key.id: _found_fields(key, verdict, secret) for key, verdict in drifted.items()}
    last_clean = {key.id: clean_until(situation, key) for key in drifted}
    well = [key.id for key, verdict in found.compared.verdicts.items() if verdict.in_sync]
    if fields:
        metrics.drift_found("watch or scan", len(fields))
        drifts.record(db, situation.row.id, found.view.uid, fields, now, last_clean)
    if well:
        drifts.close(db, situation.row.id, well, "as in Git again", now)


def _found_fields(key: Key, verdict: Verdict, secret: bytes) -> list[FieldFound]:
    """The drifted fields of one object, masked; an object that drifts as a whole has one field with an empty path."""
    shown = fields_view(key, (*verdict.fields, *verdict.leftovers), secret)
    if not shown:
        return [FieldFound("", str(verdict.state), "", verdict.reason or str(verdict.state))]
    return [
        FieldFound(
            each["path"],
            each["kind"],
            text(each["desired"]),
            text(each["live"]),
            each["manager"],
            each["operation"],
            datetime.fromisoformat(each["at"]) if each["at"] else None,
        )
        for each in shown
    ]


def text(value: Any) -> str:
    """A value for people: texts as they are, everything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def clean_until(situation: Situation, key: Key) -> datetime | None:
    row, seen = situation.owned.get(key), situation.live.get(key.id)
    if row is None or row.verdict is not VerdictState.SYNCED:
        return None
    # A watch may have noted the different content already: then the time of its row says nothing of the clean one.
    confirmed = seen.seen_at if seen is not None and seen.digest == row.live_digest else row.updated_at
    return max(row.updated_at, situation.row.checked_at or row.updated_at, confirmed)


def _in_doubt(found: Look) -> bool:
    """Whether an object that was not in sync could not be judged this time: it moved, or the API server refused."""
    owned = found.situation.owned
    open_before = {key for key, row in owned.items() if row.verdict not in (VerdictState.SYNCED, VerdictState.CLAIM)}
    verdicts = found.compared.verdicts
    return any(verdicts[key].state in NOT_DRIFT for key in (open_before & verdicts.keys()) - found.behind)


def fight_signal(name: str, fought: Sequence[Fight]) -> Signal:
    """One alert for all fights of an application; another set of them is another cause."""
    if not fought:
        return Signal(Condition.DRIFT_FIGHT, f"app:{name}", False, facts={"application": name})
    facts = {
        "application": name,
        "message": "; ".join(str(each) for each in fought),
        "manager": ", ".join(sorted({each.manager for each in fought if each.manager})),
        "objects": [],
    }
    cause = digest(sorted(f"{each.key.id}:{each.path}" for each in fought))
    return Signal(Condition.DRIFT_FIGHT, f"app:{name}", True, cause=cause, facts=facts)


def drift_signal(edges: Edges, found: Look) -> Signal | None:
    """Drift found, or over; None while it cannot be told whether what drifted still does."""
    name = found.situation.row.name
    drifted = found.drifted
    if not drifted:
        if _in_doubt(found):
            return None
        return Signal(Condition.DRIFT_FOUND, f"app:{name}", False, facts={"application": name})
    cause = drift_fingerprint([each for each in found.differences if each.key in drifted])
    clean = {key: at for key in drifted if (at := clean_until(found.situation, key)) is not None}
    facts = drift_facts(name, drifted.values(), clean, edges.settings.signing_key.encode())
    return Signal(Condition.DRIFT_FOUND, f"app:{name}", True, cause=cause, facts=facts)
