"""Starts and ends the control plane's programs, so that none outlives its cluster. Called by localcluster."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path


class Processes:
    """The programs of one directory, remembered in `processes.json` by pid and start time.

    A pid alone would not do: after a reboot, or a long night, it can belong to somebody else.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._table = directory / "processes.json"
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], *, tied: bool) -> None:
        """Start a program with its output in `logs/<name>.log`.

        `tied`: the kernel kills it when the thread that called this ends, however that happens (Linux).
        """
        setpriv = shutil.which("setpriv") if tied else None
        chain = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        with (self._directory / "logs" / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                [*chain, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._children[child.pid] = child
        self._write({**self._read(), name: (child.pid, _started(child.pid))})

    def alive(self, name: str) -> bool:
        """Whether the program that was started under this name still runs."""
        pid, started = self._read().get(name, (0, ""))
        if (child := self._children.get(pid)) and child.poll() is not None:
            return False
        return bool(started) and _started(pid) == started

    def stop(self, name: str, patience: float = 10.0) -> None:
        """Ask a program to end, and after `patience` seconds make it."""
        if self.alive(name):
            pid, _ = self._read()[name]
            os.kill(pid, signal.SIGTERM)
            if not self._ended(name, patience):
                os.kill(pid, signal.SIGKILL)
                self._ended(name, 5.0)
        if name in (table := self._read()):
            self._write({other: entry for other, entry in table.items() if other != name})

    def _ended(self, name: str, patience: float) -> bool:
        deadline = time.monotonic() + patience
        while self.alive(name):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _read(self) -> dict[str, tuple[int, str]]:
        if not self._table.exists():
            return {}
        return {name: (int(pid), str(started)) for name, (pid, started) in json.loads(self._table.read_text()).items()}

    def _write(self, table: dict[str, tuple[int, str]]) -> None:
        new = self._table.with_suffix(".new")
        new.write_text(json.dumps(table))
        new.rename(self._table)


def _started(pid: int) -> str:
    """When a process started, as the kernel tells it; empty if there is none, or only its remains."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
        shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return shown.stdout.strip()
    fields = status.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
