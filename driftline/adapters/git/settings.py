"""What an operator may set for Git: deadlines, quotas, and which transports are allowed."""

from dataclasses import dataclass
from datetime import timedelta

MIB, GIB = 1024**2, 1024**3


@dataclass(frozen=True)
class GitSettings:
    """Settings of the Git adapter. Times are wall-clock, sizes bytes on disk."""

    fetch_deadline: timedelta = timedelta(seconds=60)
    """How long one fetch into an existing mirror may take before it is killed. `DRIFTLINE_GIT_TIMEOUT`, seconds."""
    clone_deadline: timedelta = timedelta(minutes=10)
    """The same for the first fetch of a repository. `DRIFTLINE_GIT_CLONE_TIMEOUT`, seconds."""
    local_deadline: timedelta = timedelta(minutes=5)
    """How long a clean-up of one mirror may take."""
    low_speed_limit: int = 1000
    """A transfer slower than this (bytes a second) for `low_speed_time` is given up."""
    low_speed_time: timedelta = timedelta(seconds=30)
    connect_timeout: timedelta = timedelta(seconds=15)
    """How long an SSH connection may take to open."""
    mirror_quota: int = 4 * GIB
    """Largest mirror; a fetch that grows beyond it is killed. `DRIFTLINE_GIT_MIRROR_QUOTA`, bytes."""
    total_quota: int = 20 * GIB
    """All mirrors together; above it the least recently used are dropped. `DRIFTLINE_GIT_QUOTA`, bytes."""
    partial_above: int = 256 * MIB
    """A first fetch that grows beyond this starts again without file contents, which then come when needed."""
    blob_limit: int = 32 * MIB
    """Largest file that is read."""
    sessions: int = 8
    """Object readers (`git cat-file`) that one process keeps open."""
    session_idle: timedelta = timedelta(minutes=1)
    """An object reader unused for this long is closed."""
    rewritten_kept: timedelta = timedelta(days=14)
    """How long a commit that a force-push replaced stays readable, beyond those kept by name."""
    allow_http: bool = True
    """Whether plain http:// repositories are allowed. `DRIFTLINE_GIT_ALLOW_HTTP`."""
    allow_file: bool = False
    """Whether local paths are allowed; for tests and local demos only."""
    git: str = "git"
    """The git program, best an absolute path. `DRIFTLINE_GIT`."""
