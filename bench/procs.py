"""What processes cost: memory and CPU of whole families of processes, from /proc."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


def family(roots: Iterable[int]) -> set[int]:
    """These processes and all their descendants that live now."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (found := _stat(int(entry.name))):
            children.setdefault(int(found[1]), []).append(int(entry.name))
    members, waiting = set[int](), list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in members:
            members.add(pid)
            waiting += children.get(pid, [])
    return members


def pss(roots: Iterable[int]) -> float:
    """Memory of families in MB (10^6 bytes): each page shared by n processes counts as 1/n for each of them."""
    total = 0
    for pid in family(roots):
        try:
            lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6


def cpu(roots: Iterable[int]) -> float:
    """CPU seconds of families so far, those included that have ended and were waited for."""
    stats = [found for pid in family(roots) if (found := _stat(pid))]
    # utime, stime, and the same of children that have been waited for.
    return sum(int(value) for found in stats for value in found[11:15]) / _TICKS


def by_name(running: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds of each named family."""
    return {name: cpu([pid]) for name, pid in running.items()}


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name: state, ppid, ...; None if the process has ended."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
