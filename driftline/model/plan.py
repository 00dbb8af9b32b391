"""A plan: everything a sync would write, in order, as a value that is stored before the first write."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from driftline.model.digests import digest
from driftline.model.drift import FieldDrift
from driftline.model.objects import Key


class Op(StrEnum):
    """What a plan says is to be done to one object."""

    CREATE = "create"
    UPDATE = "update"
    ADOPT = "adopt"
    """Take over an object that exists and is not ours."""
    CLAIM = "claim"
    """Values are right; only the ownership of fields is written."""
    RECREATE = "recreate"
    HOOK = "hook"
    """Create a hook and follow it to its end."""
    PRUNE = "prune"


class Action(StrEnum):
    """What was done to one object."""

    CREATED = "created"
    UPDATED = "updated"
    ADOPTED = "adopted"
    CLAIMED = "claimed"
    RECREATED = "recreated"
    UNCHANGED = "unchanged"
    PRUNED = "pruned"
    RAN = "ran"


class Phase(StrEnum):
    """The phases of a sync, in order (Argo CD SYNC-02)."""

    PRE_SYNC = "PreSync"
    SYNC = "Sync"
    POST_SYNC = "PostSync"
    SYNC_FAIL = "SyncFail"


@dataclass(frozen=True)
class Change:
    """One object that a plan writes."""

    op: Op
    key: Key
    desired_digest: str = ""
    """Digest of the desired object, empty for a prune."""
    uid: str = ""
    """The uid that the object must still have; empty for a create."""
    resource_version: str = ""
    """For a prune: the version whose marks were checked."""
    rank: int = 0
    """Position of its kind inside a wave: ranks run in sequence, objects of a rank in parallel."""
    reason: str = ""
    fields: tuple[FieldDrift, ...] = ()
    leftovers: tuple[FieldDrift, ...] = ()

    def __str__(self) -> str:
        return f"{self.op} {self.key}"


@dataclass(frozen=True)
class Wave:
    """Changes that go together: all of it is applied, then (unless it is the last) waited for."""

    phase: Phase
    number: int
    changes: tuple[Change, ...]
    after_health: bool = True
    """Whether it starts only when everything applied before is healthy. False for deletions without PruneLast: a new
    object may never get well while the old one holds its port or volume."""


@dataclass(frozen=True)
class Held:
    """A change that waits for a person, and why."""

    change: Change
    reason: str
    confirm: bool = False
    """A deletion that the object wants confirmed: the annotation on its Application allows it, too."""


@dataclass(frozen=True)
class Problem:
    """An object that cannot be part of the plan, and why. It does not stop the others."""

    key: Key
    message: str


@dataclass(frozen=True)
class Plan:
    """What a sync would do, wave by wave. Everything not named is left alone."""

    waves: tuple[Wave, ...] = ()
    held: tuple[Held, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    unchanged: int = 0
    refused: str = ""
    """Why nothing of it may run at all (an empty render, the prune budget), or empty."""
    allowed: frozenset[Key] = field(default_factory=frozenset)
    """Held keys that a person has approved."""
    skipped: tuple[Held, ...] = ()
    """Deletions that were not asked for or that the object forbids, and why: listed, never done."""

    def changes(self) -> Iterator[Change]:
        """Every change that runs, in order."""
        for wave in self.waves:
            yield from wave.changes

    @property
    def empty(self) -> bool:
        return not any(wave.changes for wave in self.waves)

    def __str__(self) -> str:
        """The text that CLI, UI, alerts and tests show: one line a change, numbered by its wave's position."""
        lines = [f"{number} {change}" for number, wave in enumerate(self.waves, 1) for change in wave.changes]
        lines += _held_lines(self.held)
        lines += [f"problem {problem.key}: {problem.message}" for problem in self.problems]
        lines += [f"skipped {left.change}: {left.reason}" for left in self.skipped]
        if self.refused:
            lines.append(f"refused: {self.refused}")
        return "\n".join(lines) if lines else "nothing to do"

    @property
    def digest(self) -> str:
        """Names exactly this plan: what is written where, in which order, against which uids."""
        waves = [
            [wave.phase, wave.number, [[c.op, c.key.id, c.desired_digest, c.uid, c.rank] for c in wave.changes]]
            for wave in self.waves
        ]
        return digest([waves, [[held.change.op, held.change.key.id, held.reason] for held in self.held]])


def _held_lines(held: Sequence[Held]) -> list[str]:
    """One line for each change; a reason that several have in common is said once, before them."""
    groups: dict[str, list[Held]] = {}
    for each in held:
        groups.setdefault(each.reason, []).append(each)
    lines = []
    for reason, group in groups.items():
        if len(group) == 1:
            lines.append(f"held {group[0].change}: {reason}")
        else:
            lines += [f"held {len(group)} changes: {reason}", *(f"held {each.change}" for each in group)]
    return lines
