"""One sync of one application: Argo CD's operation, as a row that moves by steps."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from driftline.model.objects import Key
from driftline.model.plan import Action


class OperationPhase(StrEnum):
    """Argo CD's operation phases, and ours for what it cannot say."""

    RUNNING = "Running"
    TERMINATING = "Terminating"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ERROR = "Error"
    SUPERSEDED = "Superseded"
    """A newer commit took over between two steps."""
    HELD = "Held"
    """The plan waits for a person."""

    @property
    def ended(self) -> bool:
        return self in (self.SUCCEEDED, self.FAILED, self.ERROR, self.SUPERSEDED)


class ResultStatus(StrEnum):
    """Argo CD's status of one object of a sync (SYNC-07)."""

    SYNCED = "Synced"
    SYNC_FAILED = "SyncFailed"
    PRUNED = "Pruned"
    PRUNE_SKIPPED = "PruneSkipped"


@dataclass(frozen=True)
class ObjectResult:
    """What came of one object. `message` is masked text for people."""

    key: Key
    status: ResultStatus
    action: Action | None = None
    message: str = ""
    uid: str = ""
    retryable: bool = False
    at: datetime | None = None
