"""Whether a process is still the one that was started: a pid alone may belong to somebody else by now."""

import os
import signal
import time
from pathlib import Path


def started(pid: int) -> str:
    """The kernel's time of a process's start; empty if there is no such process, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def is_running(pid: int, start: str) -> bool:
    """Whether this very process runs."""
    return bool(start) and started(pid) == start


def end(pid: int, start: str, patience: float) -> bool:
    """Ask it to end and wait; whether it did."""
    if is_running(pid, start):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while is_running(pid, start):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
