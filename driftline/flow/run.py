"""One worker's turn at one sync, as a value that its steps fill: what is planned, what came of it, what is unsaved."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from driftline.adapters.store.live import LiveRow, Sighting
from driftline.adapters.store.syncs import SyncRow
from driftline.adapters.taskqueue import Hint
from driftline.flow.apply import Written
from driftline.flow.edges import Edges
from driftline.flow.looking import Look
from driftline.flow.memory import Memory
from driftline.flow.planmaking import Ask
from driftline.flow.situation import Situation
from driftline.model.cluster import ClusterUnreachable
from driftline.model.health import Health
from driftline.model.objects import Key
from driftline.model.plan import Phase, Plan
from driftline.model.sync import ObjectResult, OperationPhase
from driftline.sync.automation import Attempt
from driftline.sync.given import PlanInput
from driftline.sync.hooks import HookSeen

JUST_DELETED = "deletion was requested just now"

SOON = timedelta(seconds=1)
"""When to come back for something that is over in a moment: an old hook being deleted."""


@dataclass
class Run:
    """One worker's turn at one sync. Everything that lasts is in the database; this is gone when the turn is over."""

    edges: Edges
    found: Look
    ask: Ask
    kind: str
    memory: Memory
    sync: SyncRow | None = None
    plan: Plan = field(default_factory=Plan)
    given: PlanInput | None = None
    results: dict[Key, ObjectResult] = field(default_factory=dict)
    hooks: dict[tuple[Phase, Key], HookSeen] = field(default_factory=dict)
    health: dict[Key, Health | None] = field(default_factory=dict)
    present: dict[Key, str] = field(default_factory=dict)
    unsaved: list[Written] = field(default_factory=list)
    gone: set[Key] = field(default_factory=set)
    away: dict[Key, ClusterUnreachable] = field(default_factory=dict)
    """Writes that got no answer in this turn."""
    released: set[Key] = field(default_factory=set)
    seen_live: dict[str, LiveRow | Sighting] = field(default_factory=dict)
    """What this turn's writes showed, by key id; where a watch has seen something newer, that."""
    overtaken: bool = False
    """A watch has seen something newer than what was written: that is looked at next."""
    moved_on: bool = False
    """A watch has seen an object that was written get well or unwell: what is waited for may be over."""
    wake: list[Hint] = field(default_factory=list)
    attempt_at: datetime | None = None
    retries: int = 0
    retry_at: datetime | None = None
    terminate: bool = False
    sync_id: int = 0
    render_id: int | None = None
    since_check: int = 0
    renewed_at: datetime | None = None
    exists: frozenset[Key] = frozenset()
    going: str = ""
    """What has to go before the wave at hand can be written, in words."""
    immutable: dict[Key, str] = field(default_factory=dict)
    """Objects whose write was refused because a field of them cannot change, and the API server's words."""
    failure: str = ""
    """Why the attempt fails, while its SyncFail hooks tidy up."""

    def __post_init__(self) -> None:
        self.renewed_at = self.edges.now()
        if self.sync is not None:
            self.sync_id, self.retries = self.sync.id, self.sync.retry_count
            self.terminate, self.render_id = self.sync.terminate, self.sync.render_id

    @property
    def situation(self) -> Situation:
        return self.found.situation

    def send(self) -> None:
        """Wake whom the saved changes concern."""
        self.edges.hint(self.wake)
        self.wake = []

    def api_version(self, key: Key) -> str:
        """The apiVersion that Git names for an object."""
        return str(self.found.wanted[key].body["apiVersion"])

    def attempt(self, phase: OperationPhase, message: str) -> Attempt:
        """How this operation is remembered."""
        return Attempt(self.found.target, phase, message)
