"""Helm and kubectl: where they are, which build they are, and one run of one of them inside its bounds."""

import hashlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from driftline.adapters.render.sandbox import Spawner
from driftline.adapters.render.settings import RenderSettings
from driftline.adapters.render.workspace import Workspace
from driftline.model.errors import Failure, Permanent, Temporary

_SAMPLE = 256 * 1024
_SHOWN = 700
_QUOTED = re.compile(r"(with config: )`[^`]*`|(?<=from )\[patch: .*\]", re.DOTALL)
"""Where Kustomize repeats whole patches, which may hold anything."""
_NOISE = re.compile(r"^(?:WARNING: |# Warning: |walk\.go:|coalesce\.go:|level=(?:INFO|WARN))|^\s*$|^Use --debug flag")


@dataclass(frozen=True)
class Program:
    """An executable. `build` names its exact content."""

    path: str
    build: str


def find_program(name: str, setting: str, hint: str) -> Program:
    """The program at the path of a setting, else beside this Python, else on PATH. Raises Permanent with `hint`."""
    beside = Path(sys.executable).parent / name
    path = setting or (str(beside) if beside.is_file() else shutil.which(name)) or ""
    if not path or not os.access(path, os.X_OK):
        raise Permanent(f"{setting or name}: no such program; {hint}")
    state = os.stat(path)
    return Program(os.path.abspath(path), _build(path, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=16)
def _build(path: str, size: int, _changed: int) -> str:
    """A name of a binary's content, without running it and without reading all of its 60 MB.

    A Go binary begins with a build id that is itself made from all of its content; the end and size guard the rest.
    """
    with open(path, "rb") as file:
        sample = file.read(_SAMPLE)
        file.seek(max(0, size - _SAMPLE))
        sample += file.read(_SAMPLE)
    return hashlib.sha256(sample + str(size).encode()).hexdigest()[:16]


def run(
    spawner: Spawner, settings: RenderSettings, workspace: Workspace, command: Sequence[str], subject: str
) -> bytes:
    """The output of one run in the workspace, with an environment that holds nothing of ours.

    Raises Permanent (`subject: cause`) when the tool fails, is too slow, or says too much.
    """
    home = workspace.root / "home"
    home.mkdir(exist_ok=True)
    output, errors = workspace.root / "output", workspace.root / "errors"
    with open(output, "wb") as out, open(errors, "wb") as err:
        started = spawner.start(command, str(workspace.root), _environment(home), subprocess.DEVNULL, out, err)
        try:
            used = ended(started, settings.deadline.total_seconds())
        finally:
            kill(started)
    tool = Path(command[0]).name
    if used is None:
        raise Permanent(f"{subject}: {tool} took longer than {settings.deadline.total_seconds():.0f} s and was stopped")
    if output.stat().st_size >= settings.limits.file_size:
        raise Permanent(f"{subject}: {tool} put out more than {settings.limits.file_size} bytes and was stopped")
    if started.returncode != 0:
        with open(errors, "rb") as err:
            text = err.read(256 * 1024).decode("utf-8", "replace")
        # The limit is counted in ticks and the account by the clock: on a busy machine they are far apart.
        if started.returncode == -signal.SIGKILL and used >= settings.limits.cpu.total_seconds() * 0.7:
            raise Permanent(
                f"{subject}: {tool} used up its {settings.limits.cpu.total_seconds():.0f} s of processor time"
            )
        raise failure(subject, tool, started.returncode, workspace.shorten(text), settings)
    return output.read_bytes()


def _environment(home: Path) -> dict[str, str]:
    """Everything that the tools look for points into the throw-away directory."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(home),
        "KUBECONFIG": str(home / "kubeconfig"),
        "HELM_CACHE_HOME": str(home / "cache"),
        "HELM_CONFIG_HOME": str(home / "config"),
        "HELM_DATA_HOME": str(home / "data"),
        "HELM_PLUGINS": str(home / "plugins"),
        "GOMEMLIMIT": "384MiB",
        "GOMAXPROCS": "2",
        "LC_ALL": "C.UTF-8",
    }


def ended(process: "subprocess.Popen[bytes]", seconds: float) -> float | None:
    """The processor seconds that a process used until its end, None if it still runs after `seconds`.

    Sleeps in the kernel: Popen.wait polls and notices an end up to 50 ms late.
    """
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return _ended_polling(process, seconds)
    try:
        waiter = select.poll()
        waiter.register(descriptor, select.POLLIN)
        return _processor_seconds(process.pid) if waiter.poll(seconds * 1000) else None
    finally:
        os.close(descriptor)


def _ended_polling(process: "subprocess.Popen[bytes]", seconds: float) -> float | None:
    until = time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() > until:
            return None
        time.sleep(0.005)
    return 0.0


def _processor_seconds(pid: int) -> float:
    """What a process that ended, but was not collected yet, has used; 0 if the kernel does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End a process and everything in its group, and collect it. What is left of the group dies even if it ended."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def failure(subject: str, tool: str, code: int, text: str, settings: RenderSettings) -> Failure:
    """What a tool's end means: its own words if it has some, else what the kernel did to it."""
    lines = [line.rstrip() for line in text.splitlines() if not _NOISE.match(line)]
    if code == -signal.SIGKILL and not lines:
        return Temporary(f"{subject}: {tool} was killed from outside; the machine may be out of memory")
    if any(line.startswith(("fatal error: runtime: out of memory", "runtime: out of memory")) for line in lines) or any(
        "cannot allocate memory" in line for line in lines[:5]
    ):
        return Permanent(f"{subject}: {tool} needed more than {settings.limits.data // 1024**2} MiB of memory")
    if code < 0 or any(line.startswith(("fatal error:", "panic:", "SIG")) for line in lines):
        first = next((line for line in lines if line.startswith(("fatal error:", "panic:", "runtime:"))), "")
        return Permanent(f"{subject}: {tool} crashed{': ' + first[:200] if first else ''}")
    return Permanent(f"{subject}: {relevant(lines) or f'{tool} ended with code {code} and said nothing'}")


def relevant(lines: Iterable[str]) -> str:
    """The lines of a tool's error that say what is wrong, from the first that begins with Error; capped."""
    kept = list(lines)
    start = next((number for number, line in enumerate(kept) if line.startswith(("Error:", "error:"))), 0)
    text = " ".join(line.strip() for line in kept[start : start + 6])
    text = _QUOTED.sub(r"\1...", re.sub(r"^[Ee]rror: ", "", text))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
