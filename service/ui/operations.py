"""One sync as people see it: its plan wave by wave, with what came of each object."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from driftline.adapters.store.syncs import SyncRow
from driftline.model.objects import Key
from driftline.model.plan import Op
from driftline.model.sync import OperationPhase

KINDS = {
    "git": "Sync of a new commit",
    "manual": "Sync",
    "self-heal": "Repair of drift",
    "rollback": "Rollback",
    "delete": "Deletion",
    "former": "Prune in a former cluster",
}
RISKY = frozenset({Op.PRUNE, Op.RECREATE})
"""What deletes a live object."""


@dataclass(frozen=True)
class Step:
    """One object of a plan. `word` is what came of it, `waiting` at first; empty in a plan that is only shown."""

    key: str
    op: str
    word: str = ""
    message: str = ""
    reason: str = ""
    fields: tuple[Mapping[str, Any], ...] = ()

    @property
    def name(self) -> str:
        return key_text(self.key)

    @property
    def risky(self) -> bool:
        return self.op in RISKY


@dataclass(frozen=True)
class HeldGroup:
    """Held steps that wait for the same reason, which is said once."""

    reason: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class WaveView:
    """Steps that go together."""

    number: int
    phase: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class PlanShown:
    """A plan for people."""

    digest: str
    waves: tuple[WaveView, ...]
    held: tuple[Step, ...]
    skipped: tuple[Step, ...]
    problems: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    refused: str
    unchanged: int

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        """How many objects there are by what is done to them, in the order of `Op`."""
        ops = [step.op for wave in self.waves for step in wave.steps]
        return tuple((str(op), ops.count(op)) for op in Op if op in ops)

    @property
    def held_groups(self) -> tuple[HeldGroup, ...]:
        """What is held by its reason, in the order of the first of each."""
        reasons = dict.fromkeys(step.reason for step in self.held)
        return tuple(
            HeldGroup(reason, tuple(step for step in self.held if step.reason == reason)) for reason in reasons
        )

    @property
    def empty(self) -> bool:
        return not (self.waves or self.held or self.problems or self.refused)


@dataclass(frozen=True)
class Operation:
    """A sync for people."""

    row: SyncRow
    title: str
    plan: PlanShown

    @property
    def running(self) -> bool:
        return self.row.finished_at is None

    @property
    def held(self) -> bool:
        return self.row.phase is OperationPhase.HELD

    @property
    def revision(self) -> str:
        return (self.row.revisions or [""])[0]

    @property
    def dry_run(self) -> bool:
        return bool((self.row.request or {}).get("dry_run"))

    @property
    def done(self) -> int:
        """How many objects have an outcome."""
        return sum(step.word not in ("", "waiting") for wave in self.plan.waves for step in wave.steps)

    @property
    def failed(self) -> int:
        return sum(step.word in ("SyncFailed", "Failed") for wave in self.plan.waves for step in wave.steps)

    @property
    def total(self) -> int:
        return sum(len(wave.steps) for wave in self.plan.waves)

    def took(self, now: datetime) -> timedelta:
        """From its start to its end, or until now."""
        return (self.row.finished_at or now) - self.row.started_at


def operation(row: SyncRow) -> Operation:
    """What a row says."""
    return Operation(row, KINDS.get(row.kind, row.kind), plan_shown(row.plan_view or {}, row.results or {}))


def plan_shown(view: Mapping[str, Any], results: Mapping[str, Any] | None = None) -> PlanShown:
    """A plan's masked JSON, with the results that belong to it. No results: a plan that is only shown."""
    outcomes = _outcomes(results) if results is not None else None
    grouped: dict[tuple[int, str], list[Step]] = {}
    for each in view.get("changes", ()):
        at = (int(each.get("wave", 0)), str(each.get("phase", "")))
        grouped.setdefault(at, []).append(_step(each, outcomes, at[1]))
    waves = tuple(WaveView(number, phase, tuple(steps)) for (number, phase), steps in grouped.items())
    return PlanShown(
        digest=str(view.get("digest", "")),
        waves=waves,
        held=tuple(_step(each, None, "") for each in view.get("held", ())),
        skipped=tuple(_step(each, None, "") for each in view.get("skipped", ())),
        problems=tuple((key_text(each["key"]), str(each["message"])) for each in view.get("problems", ())),
        warnings=tuple(str(each) for each in view.get("warnings", ())),
        refused=str(view.get("refused", "")),
        unchanged=int(view.get("unchanged", 0)),
    )


def key_text(key_id: str) -> str:
    """An object's name for people, from what the database calls it."""
    try:
        return str(Key.parse(key_id))
    except ValueError:
        return key_id


_Outcomes = Mapping[tuple[str, str], tuple[str, str]]


def _outcomes(results: Mapping[str, Any]) -> _Outcomes:
    """(phase or nothing, key) -> word and message. Hooks are told apart by their phase: one may run in several."""
    found = {
        ("", str(each["key"])): (str(each.get("action") or each["status"]), str(each.get("message", "")))
        if each["status"] != "SyncFailed"
        else ("SyncFailed", str(each.get("message", "")))
        for each in results.get("objects", ())
    }
    for each in results.get("hooks", ()):
        found[str(each["phase"]), str(each["key"])] = (str(each["state"]), str(each.get("message", "")))
    return found


def _step(each: Mapping[str, Any], outcomes: _Outcomes | None, phase: str) -> Step:
    key = str(each["key"])
    word, message = "", ""
    if outcomes is not None:
        word, message = outcomes.get((phase, key)) or outcomes.get(("", key)) or ("waiting", "")
        # Most messages only repeat the word.
        message = "" if message == word else message
    reason = str(each.get("why") or each.get("reason") or "")
    return Step(key, str(each["op"]), word, message, reason, tuple(each.get("fields", ())))
