"""Times as Kubernetes writes them."""

from datetime import UTC, datetime


def stamp(at: datetime | None) -> str | None:
    """`2026-01-31T10:00:00Z`, None for None."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def exact(at: datetime | None) -> str | None:
    """The same with microseconds, for what is measured."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if at else None
