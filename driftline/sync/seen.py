"""What is known of one running sync at one moment, and how long it may wait: the input of `steps.next_step`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from driftline.model.application import Retry as RetryRule
from driftline.model.health import Health
from driftline.model.objects import Key
from driftline.model.plan import Phase, Plan
from driftline.model.sync import ObjectResult
from driftline.sync.hooks import HookSeen


@dataclass(frozen=True)
class SyncPolicy:
    """How long a sync waits, and how often it tries again."""

    wave_timeout: timedelta = timedelta(minutes=15)
    """How long the objects of a wave may take to become healthy after its last write. Longer than the progress
    deadline of a Deployment (10 minutes by default), so that a stuck rollout fails with its own message."""
    hook_timeout: timedelta = timedelta(hours=1)
    """How long one hook may run."""
    deletion_timeout: timedelta = timedelta(minutes=5)
    """How long deleted objects may take to go."""
    sync_timeout: timedelta | None = None
    """How long the whole operation may take; None: as long as it needs (Argo CD's default)."""
    wave_delay: timedelta = timedelta(0)
    """A pause between two waves. Argo CD waits 2 s, so that controllers notice the new spec; here a controller that
    lags behind the generation already counts as Progressing."""
    check_every: timedelta = timedelta(seconds=5)
    """How soon to look again when no watch has said anything."""
    retry: RetryRule = field(default_factory=RetryRule)


@dataclass(frozen=True)
class SyncSeen:
    """All that is known of one sync at one moment."""

    plan: Plan
    started_at: datetime
    """Start of this attempt, aware UTC."""
    results: Mapping[Key, ObjectResult] = field(default_factory=dict)
    """What came of each change of this attempt, hooks aside; `at` is when it was written."""
    hooks: Mapping[tuple[Phase, Key], HookSeen] = field(default_factory=dict)
    """Hooks that were made in this attempt."""
    health: Mapping[Key, Health | None] = field(default_factory=dict)
    """Health of applied and of standing objects, read after the write: absent = not read yet, None = no check."""
    present: Mapping[Key, str] = field(default_factory=dict)
    """Pruned objects that are still there, and what holds them (their finalizers)."""
    standing: Mapping[Key, int] = field(default_factory=dict)
    """Unchanged objects that a later wave has to wait for, and their wave (`standing`)."""
    failure: str = ""
    """Why this attempt fails, once `ApplyWave.failure` has said so: an object that recovers while the SyncFail hooks
    run does not turn the failure into a success."""
    newer: str = ""
    """The newest wanted revision, if it is not the one of this sync."""
    terminate: bool = False
    retries: int = 0
    """How many retries have begun; 0 in the first attempt."""
    retry_at: datetime | None = None
    """Set while the operation waits between two attempts."""
    policy: SyncPolicy = SyncPolicy()
