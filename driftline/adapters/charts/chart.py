"""What came of pulling a chart."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Chart:
    """A chart that is held here. `digest` is its archive's (`sha256:<64 hex digits>`), and names it for good."""

    name: str
    version: str
    digest: str
