"""Plans and results as JSON: the exact form, sealed, that a sync executes, and the masked form that people see."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson

from driftline.model.drift import Author, FieldDrift
from driftline.model.masking import mask_drift
from driftline.model.objects import Key
from driftline.model.plan import Action, Change, Held, Op, Phase, Plan, Problem, Wave
from driftline.model.sync import ObjectResult, ResultStatus
from driftline.sync.hooks import HookSeen, HookState


def dump_plan(plan: Plan) -> bytes:
    """The whole plan, to be sealed: it may hold values of Secrets."""
    return orjson.dumps(
        {
            "waves": [
                {
                    "phase": wave.phase,
                    "number": wave.number,
                    "after_health": wave.after_health,
                    "changes": [_change(change) for change in wave.changes],
                }
                for wave in plan.waves
            ],
            "held": [_held(held) for held in plan.held],
            "skipped": [_held(held) for held in plan.skipped],
            "problems": [[problem.key.id, problem.message] for problem in plan.problems],
            "warnings": plan.warnings,
            "unchanged": plan.unchanged,
            "refused": plan.refused,
            "allowed": sorted(key.id for key in plan.allowed),
        }
    )


def load_plan(content: bytes) -> Plan:
    """Read what `dump_plan` wrote."""
    found = orjson.loads(content)
    return Plan(
        waves=tuple(
            Wave(
                Phase(wave["phase"]),
                wave["number"],
                tuple(_read_change(change) for change in wave["changes"]),
                wave["after_health"],
            )
            for wave in found["waves"]
        ),
        held=tuple(_read_held(each) for each in found["held"]),
        problems=tuple(Problem(Key.parse(key), message) for key, message in found["problems"]),
        warnings=tuple(found["warnings"]),
        unchanged=found["unchanged"],
        refused=found["refused"],
        allowed=frozenset(Key.parse(key) for key in found["allowed"]),
        skipped=tuple(_read_held(each) for each in found["skipped"]),
    )


def plan_view(plan: Plan, secret: bytes) -> dict[str, Any]:
    """What CLI, API, UI and alerts show of a plan: masked, with the digest that an approval names."""
    return {
        "digest": plan.digest,
        "text": str(plan),
        "changes": [
            {"wave": number, "phase": wave.phase, **_shown(change, secret)}
            for number, wave in enumerate(plan.waves, 1)
            for change in wave.changes
        ],
        "held": [{**_shown(held.change, secret), "why": held.reason, "confirm": held.confirm} for held in plan.held],
        "skipped": [{**_shown(held.change, secret), "why": held.reason} for held in plan.skipped],
        "problems": [{"key": problem.key.id, "message": problem.message} for problem in plan.problems],
        "warnings": list(plan.warnings),
        "unchanged": plan.unchanged,
        "refused": plan.refused,
    }


def fields_view(key: Key, fields: Iterable[FieldDrift], secret: bytes) -> list[dict[str, Any]]:
    """Field differences for people, masked."""
    return [
        {
            "path": each.path,
            "kind": each.kind,
            "desired": each.desired,
            "live": each.live,
            "manager": each.author.manager,
            "operation": each.author.operation,
            "at": each.author.at.isoformat() if each.author.at else None,
        }
        for each in mask_drift(key, tuple(fields), secret)
    ]


def dump_results(
    results: Mapping[Key, ObjectResult], hooks: Mapping[tuple[Phase, Key], HookSeen]
) -> dict[str, list[dict[str, Any]]]:
    """Results as JSON values; messages are masked already."""
    return {
        "objects": [
            {
                "key": key.id,
                "status": result.status,
                "action": result.action,
                "message": result.message,
                "uid": result.uid,
                "retryable": result.retryable,
                "at": result.at.isoformat() if result.at else None,
            }
            for key, result in results.items()
        ],
        "hooks": [
            {
                "phase": phase,
                "key": key.id,
                "state": hook.state,
                "message": hook.message,
                "since": hook.since.isoformat() if hook.since else None,
            }
            for (phase, key), hook in hooks.items()
        ],
    }


def load_results(found: Any) -> tuple[dict[Key, ObjectResult], dict[tuple[Phase, Key], HookSeen]]:
    """Read what `dump_results` wrote; nothing for nothing."""
    found = found or {}
    results = {}
    for row in found.get("objects", ()):
        key = Key.parse(row["key"])
        results[key] = ObjectResult(
            key,
            ResultStatus(row["status"]),
            Action(row["action"]) if row["action"] else None,
            row["message"],
            row["uid"],
            row["retryable"],
            _time(row["at"]),
        )
    hooks = {
        (Phase(row["phase"]), Key.parse(row["key"])): HookSeen(
            HookState(row["state"]), row["message"], _time(row["since"])
        )
        for row in found.get("hooks", ())
    }
    return results, hooks


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _change(change: Change) -> dict[str, Any]:
    return {
        "op": change.op,
        "key": change.key.id,
        "digest": change.desired_digest,
        "uid": change.uid,
        "version": change.resource_version,
        "rank": change.rank,
        "reason": change.reason,
        "fields": [_field(each) for each in change.fields],
        "leftovers": [_field(each) for each in change.leftovers],
    }


def _read_change(row: Mapping[str, Any]) -> Change:
    return Change(
        Op(row["op"]),
        Key.parse(row["key"]),
        row["digest"],
        row["uid"],
        row["version"],
        row["rank"],
        row["reason"],
        tuple(_read_field(each) for each in row["fields"]),
        tuple(_read_field(each) for each in row["leftovers"]),
    )


def _field(each: FieldDrift) -> dict[str, Any]:
    author = each.author
    return {
        "path": each.path,
        "desired": each.desired,
        "live": each.live,
        "kind": each.kind,
        "elements": list(each.elements),
        "author": [author.manager, author.operation, author.subresource, author.at.isoformat() if author.at else None],
    }


def _read_field(row: Mapping[str, Any]) -> FieldDrift:
    manager, operation, subresource, at = row["author"]
    author = Author(manager, operation, subresource, _time(at))
    return FieldDrift(row["path"], row["desired"], row["live"], author, row["kind"], tuple(row["elements"]))


def _held(held: Held) -> dict[str, Any]:
    return {"change": _change(held.change), "reason": held.reason, "confirm": held.confirm}


def _read_held(row: Mapping[str, Any]) -> Held:
    return Held(_read_change(row["change"]), row["reason"], bool(row.get("confirm")))


def _shown(change: Change, secret: bytes) -> dict[str, Any]:
    return {
        "op": change.op,
        "key": change.key.id,
        "reason": change.reason,
        "fields": fields_view(change.key, (*change.fields, *change.leftovers), secret),
    }
