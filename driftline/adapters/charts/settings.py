"""What an operator may set for chart repositories: deadlines, sizes, and how much is kept."""

from dataclasses import dataclass
from datetime import timedelta

MIB, GIB = 1024**2, 1024**3


@dataclass(frozen=True)
class ChartSettings:
    """Settings of the chart adapter. Times are wall-clock, sizes bytes."""

    deadline: timedelta = timedelta(seconds=60)
    """How long one look into a repository, or one pull, may take, all of it. `DRIFTLINE_CHART_DEADLINE`, seconds."""
    idle: timedelta = timedelta(seconds=20)
    """How long a host may send nothing before it is given up."""
    index_size: int = 64 * MIB
    """Largest index.yaml. `DRIFTLINE_CHART_INDEX_SIZE`, bytes."""
    archive_size: int = 32 * MIB
    """Largest chart archive as it is sent. `DRIFTLINE_CHART_SIZE`, bytes."""
    quota: int = 2 * GIB
    """All that is kept of charts; above it the least recently used go. `DRIFTLINE_CHART_QUOTA`, bytes."""
    range_age: timedelta = timedelta(hours=1)
    """How long a version that was chosen out of a range stays the chosen one, before it is looked for again."""
    kept: timedelta = timedelta(days=30)
    """A chart or an index that nobody used for so long is removed."""
    unpacked_size: int = 100 * MIB
    """Largest chart when unpacked, all files together; Helm's own bound."""
    file_size: int = 5 * MIB
    """Largest file in a chart; Helm's own bound."""
    files: int = 10_000
    """Most entries of an archive."""
    ratio: int = 250
    """How many times its own size an archive may unpack to, from `ratio_above` on."""
    ratio_above: int = 1 * MIB
    answer_size: int = 4 * MIB
    """Largest other answer of a registry: a token, a manifest, a page of tags."""
    pages: int = 100
    """Most pages of a registry's list of tags."""
    redirects: int = 5
    """Most redirects of one request."""
    allow_unsandboxed: bool = False
    """Read indexes even where the network cannot be taken from the reader. `DRIFTLINE_RENDER_UNSANDBOXED`."""
