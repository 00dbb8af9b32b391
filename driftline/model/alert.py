"""What people are told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Condition(StrEnum):
    """What an alert is about; names of Argo CD's triggers where it has one (NOT-09)."""

    SYNC_FAILED = "on-sync-failed"
    SYNC_SUCCEEDED = "on-sync-succeeded"
    HEALTH_DEGRADED = "on-health-degraded"
    DRIFT_FOUND = "on-drift-found"
    DRIFT_FIGHT = "on-drift-fight"
    CLUSTER_UNREACHABLE = "on-cluster-unreachable"
    REPOSITORY_UNREACHABLE = "on-repository-unreachable"
    JOB_QUARANTINED = "on-job-quarantined"
    PLAN_HELD = "on-plan-held"
    CREATED = "on-created"
    DELETED = "on-deleted"
    DEPLOYED = "on-deployed"
    """Healthy after a sync that succeeded; once per revision."""
    SYNC_RUNNING = "on-sync-running"
    SYNC_UNKNOWN = "on-sync-status-unknown"


class Edge(StrEnum):
    """Whether a condition began, still holds, ended, or is a one-off message."""

    FIRE = "fire"
    REMIND = "remind"
    RECOVER = "recover"
    ONCE = "once"


@dataclass(frozen=True)
class Signal:
    """A condition of a subject that holds now or no longer does, as flow saw it.

    `subject` is `app:<name>`, `cluster:<name>`, `repository:<url>` or `job:<id>`. `cause` tells two troubles of one
    subject apart (a revision, a drift fingerprint); `facts` are masked values for the text.
    """

    condition: Condition
    subject: str
    active: bool
    cause: str = ""
    once: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    root: str = ""
    """The subject whose trouble this follows from, `cluster:<name>` or `repository:<url>`: people hear of that one,
    once, however many applications it hits."""


@dataclass(frozen=True)
class Recipient:
    """One place that hears: a channel (`slack`, `email`, `webhook`) and its address there."""

    channel: str
    address: str


@dataclass(frozen=True)
class Message:
    """A text for one alert, in the forms that channels need. All of it is masked and escaped by the channel."""

    title: str
    text: str
    html: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    link: str = ""
    edge: Edge = Edge.ONCE
