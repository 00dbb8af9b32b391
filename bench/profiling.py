"""Where a process's CPU goes: py-spy looks at it while a bench runs, and the stacks are added up. Optional.

Only threads that hold the interpreter's lock are seen: waiting for a server or a database costs others nothing.
"""

import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bench.stage import Stage

RATE = 100
"""Looks a second."""


class Profiler:
    """Follows one role of each stage, with all its children, until the stage ends."""

    def __init__(self, role: str) -> None:
        self._role = role
        self._directory = Path(tempfile.mkdtemp(prefix="dlprof-"))
        self._running: list[subprocess.Popen[bytes]] = []

    def attach(self, stage: Stage) -> None:
        """Begin to look at a stage. Raises RuntimeError where there is no py-spy."""
        program = shutil.which("py-spy")
        if program is None:
            raise RuntimeError("py-spy: is missing, and --profile looks through it: pip install py-spy")
        out = self._directory / f"{len(self._running)}.txt"
        options = [
            "-p",
            str(stage.roots[self._role]),
            "-s",
            "-g",
            "-f",
            "raw",
            "-r",
            str(RATE),
            "-o",
            str(out),
            "-d",
            "3600",
        ]
        self._running.append(
            subprocess.Popen([program, "record", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )

    def lines(self, most: int = 25) -> list[str]:
        """The functions in which most was seen: with what they call, and themselves."""
        for process in self._running:
            process.wait(60)
        stacks = [line for file in sorted(self._directory.glob("*.txt")) for line in file.read_text().splitlines()]
        shutil.rmtree(self._directory, ignore_errors=True)
        return summary(stacks, most)


def summary(stacks: Iterable[str], most: int) -> list[str]:
    """Collapsed stacks (`a;b;c 12`) as two rankings: share of looks with a function in it, and at its end."""
    within: Counter[str] = Counter()
    itself: Counter[str] = Counter()
    total = 0
    for line in stacks:
        frames, _, number = line.rpartition(" ")
        looks = int(number)
        names = [_function(frame) for frame in frames.split(";") if not frame.startswith("process ")]
        if not names:
            continue
        total += looks
        itself[names[-1]] += looks
        within.update(dict.fromkeys(names, looks))
    if not total:
        return ["nothing was seen"]
    found = [f"{total} looks, {total / RATE:.1f} s"]
    for title, ranking in (("with what it calls", within), ("itself", itself)):
        found.append(f"-- {title}")
        found += [f"{looks / total:6.1%}  {name}" for name, looks in ranking.most_common(most)]
    return found


def _function(frame: str) -> str:
    """`name (path/file.py:12)` without the line: one function is one entry."""
    return frame.rpartition(":")[0] + ")" if ":" in frame else frame
