"""How well an object or an application is."""

from dataclasses import dataclass
from enum import StrEnum


class HealthStatus(StrEnum):
    """Argo CD's words, from best to worst (HLT-01)."""

    HEALTHY = "Healthy"
    SUSPENDED = "Suspended"
    PROGRESSING = "Progressing"
    MISSING = "Missing"
    DEGRADED = "Degraded"
    UNKNOWN = "Unknown"

    @property
    def badness(self) -> int:
        return list(HealthStatus).index(self)


@dataclass(frozen=True)
class Health:
    """A status and why, in words for people."""

    status: HealthStatus
    message: str = ""


class SyncStatus(StrEnum):
    """Whether the cluster holds what Git says."""

    SYNCED = "Synced"
    OUT_OF_SYNC = "OutOfSync"
    UNKNOWN = "Unknown"
