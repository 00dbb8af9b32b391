"""How fresh a verdict is: one that nobody has confirmed for too long is shown as Unknown, never as Synced."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from driftline.adapters.store import clusters
from driftline.adapters.store.clusters import ClusterRow
from driftline.model.health import SyncStatus


class Checked(Protocol):
    """What of an application decides how fresh its verdict is."""

    @property
    def sync_status(self) -> SyncStatus: ...
    @property
    def checked_at(self) -> datetime | None: ...


@dataclass(frozen=True)
class Verdict:
    """A sync status for people. `last` is the status that it had before it aged, empty while it is fresh."""

    word: str
    at: datetime | None
    last: str = ""


def verdict(row: Checked, cluster: ClusterRow | None, longest: timedelta, now: datetime) -> Verdict:
    """The sync status of an application as of now.

    A cluster that is watched, or was listed, without news confirms the verdict of each of its applications.
    """
    at = confirmed(row.checked_at, cluster)
    if row.sync_status is SyncStatus.UNKNOWN or (at is not None and now - at <= longest):
        return Verdict(str(row.sync_status), at)
    return Verdict(str(SyncStatus.UNKNOWN), at, str(row.sync_status))


def confirmed(checked_at: datetime | None, cluster: ClusterRow | None) -> datetime | None:
    """When what is known of an application was last known to be true."""
    if checked_at is None or cluster is None or cluster.state != clusters.OK:
        return checked_at
    return max(_times(checked_at, cluster.watch_bookmark_at, cluster.checked_at))


def _times(*found: datetime | None) -> Iterable[datetime]:
    return [each for each in found if each is not None]
