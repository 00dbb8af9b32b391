"""What the API server's audit log says about Driftline's calls. Pure: entries in, counts out."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from deploy.localcluster.audit import AuditEntry

USER = "driftline"
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


def ours(entries: Iterable[AuditEntry], since: float = 0.0) -> list[AuditEntry]:
    """Calls of Driftline's identity, from a time on (seconds since 1970), in the order they arrived."""
    begin = datetime.fromtimestamp(since, UTC)
    return sorted((each for each in entries if each.user == USER and each.at >= begin), key=lambda each: each.at)


def by_verb(entries: Iterable[AuditEntry]) -> dict[str, int]:
    """How often each verb was called; a dry run is its own verb."""
    return dict(sorted(Counter("dry-run" if each.dry_run else each.verb for each in entries).items()))


def writes(entries: Iterable[AuditEntry]) -> list[AuditEntry]:
    """The calls that change something."""
    return [each for each in entries if each.verb in WRITES and not each.dry_run]


def reads(entries: Iterable[AuditEntry]) -> list[AuditEntry]:
    """All other calls but watches: one of those lasts for minutes, whatever happens meanwhile."""
    return [each for each in entries if each.verb != "watch" and (each.dry_run or each.verb not in WRITES)]


def first_write(entries: Iterable[AuditEntry]) -> float | None:
    """When the first write arrived at the API server, seconds since 1970; None if there was none."""
    found = writes(entries)
    return min(each.at for each in found).timestamp() if found else None
