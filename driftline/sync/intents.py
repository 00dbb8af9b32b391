"""What a sync does next, as values: `steps.next_step` returns one, flow carries it out."""

from dataclasses import dataclass
from datetime import datetime

from driftline.model.objects import Key
from driftline.model.plan import Phase


@dataclass(frozen=True)
class ApplyWave:
    """Write the changes of `plan.waves[index]` that have no result yet, and create its hooks that do not exist."""

    index: int
    failure: str = ""
    """Set with the first SyncFail wave: why the attempt fails. Store it and show it as `SyncSeen.failure`."""


@dataclass(frozen=True)
class Wait:
    """Nothing to write now. Look again when something that is waited for changes, at `until` at the latest."""

    until: datetime
    reason: str


@dataclass(frozen=True)
class Finish:
    """The sync has succeeded."""

    message: str


@dataclass(frozen=True)
class Fail:
    """This attempt has failed. With `retry_at` the operation goes on then, with a fresh plan; else it has ended."""

    message: str
    retry_at: datetime | None = None


@dataclass(frozen=True)
class Retry:
    """The wait after a failure is over: read again, plan again, begin retry number `attempt` (the first is 1)."""

    attempt: int


@dataclass(frozen=True)
class Hold:
    """All that may run has run; the rest of the plan waits for a person."""

    reason: str


@dataclass(frozen=True)
class Supersede:
    """A newer revision takes over."""

    by: str


@dataclass(frozen=True)
class Terminate:
    """Delete the hooks that run and end as failed with this message."""

    message: str
    hooks: tuple[tuple[Phase, Key], ...] = ()


Intent = ApplyWave | Wait | Finish | Fail | Retry | Hold | Supersede | Terminate
