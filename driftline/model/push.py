"""What a Git host says happened: a hint to look at some refs of a repository, never the truth."""

from dataclasses import dataclass, field
from enum import StrEnum


class RefAction(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    FORCED = "forced"
    DELETED = "deleted"


@dataclass(frozen=True)
class RefChange:
    """One ref named by a push. `ref` is full: `refs/heads/main`, `refs/tags/v1`."""

    ref: str
    action: RefAction
    after: str = ""


@dataclass(frozen=True)
class Push:
    """One delivery, understood. No `changes` means: an event that we accept and ignore (`ignored` says why)."""

    provider: str
    event: str
    delivery_id: str
    repo_urls: tuple[str, ...] = ()
    """Every URL the host gave for the repository: web, HTTPS and SSH."""
    changes: tuple[RefChange, ...] = ()
    default_branch: str = ""
    pusher: str = ""
    ignored: str = ""
    paths: tuple[str, ...] = field(default=(), compare=False)
