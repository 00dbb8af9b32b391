"""What bounds a render and where its tools are. Made from the service's settings by whoever makes `Renderers`."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from driftline.desired.material import Bounds
from driftline.formats.yaml import Limits

MIB = 1024 * 1024


@dataclass(frozen=True)
class ProcessLimits:
    """What one rendering process may use; the kernel enforces it (prlimit)."""

    data: int = 512 * MIB
    """Memory of its own, bytes. Not address space: Go reserves gigabytes of that."""
    cpu: timedelta = timedelta(seconds=60)
    """Processor time."""
    file_size: int = 64 * MIB
    """Largest file it may write, its output included, bytes."""
    open_files: int = 256


@dataclass(frozen=True)
class RenderSettings:
    """How manifests are rendered."""

    kubectl: str = ""
    """Path of kubectl, whose `kustomize` is used. Empty: the one installed beside this Python, else on PATH."""
    helm: str = ""
    """Path of Helm, version 3 or 4. Empty: the one on PATH."""
    limits: ProcessLimits = field(default_factory=ProcessLimits)
    deadline: timedelta = timedelta(seconds=90)
    """Wall-clock time of one render; what is not done by then is killed with all that it started."""
    yaml: Limits = field(default_factory=Limits)
    """Bounds of one manifest file."""
    output: Limits = field(default_factory=lambda: Limits(size=64 * MIB, nodes=4_000_000, documents=50_000))
    """Bounds of what Helm or Kustomize puts out."""
    directory_size: int = 10 * MIB
    """Bytes of all manifests of a plain directory together."""
    material: Bounds = field(default_factory=Bounds)
    """How much of a repository one render may take."""
    helper_renders: int = 200
    """Renders after which the helper process is replaced."""
    work_directory: Path | None = None
    """Where throw-away directories are made. None: the system's temporary directory."""
    allow_unsandboxed: bool = False
    """Render even where the network cannot be taken from the tools. Only where all repositories are trusted."""
