"""A supervised program that is a fork: it does its work, comes back when it is killed, and ends with its parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = """
import os, sys, time
from pathlib import Path
from driftline.adapters.processes import Program, Supervisor

def work(folder=Path(sys.argv[1])):
    Path("/proc/self/comm").read_text().strip() == "worker" or sys.exit(3)
    (folder / str(os.getpid())).write_text(str(os.getsid(0)))
    time.sleep(60)

Supervisor([Program("worker", run=work)]).run()
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)])
    yield running
    running.kill()
    running.wait()


def _forks(folder: Path, number: int) -> list[int]:
    """The processes that have begun to work, once there are so many, in the order of their beginning."""
    deadline = time.monotonic() + 20
    while len(found := [each for each in folder.iterdir() if each.read_text()]) < number:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return [int(each.name) for each in sorted(found, key=lambda each: each.stat().st_mtime_ns)]


def _ends(number: int) -> bool:
    deadline = time.monotonic() + 20
    while os.path.exists(f"/proc/{number}") and time.monotonic() < deadline:
        time.sleep(0.02)
    return not os.path.exists(f"/proc/{number}")


def test_a_killed_fork_is_started_again(supervisor: subprocess.Popen[bytes], tmp_path: Path) -> None:
    [first] = _forks(tmp_path, 1)
    assert int((tmp_path / str(first)).read_text()) == first, "a session of its own: a Ctrl-C is its supervisor's"
    os.kill(first, signal.SIGKILL)
    second = _forks(tmp_path, 2)[-1]
    assert second != first
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert _ends(second)


def test_a_fork_does_not_outlive_its_supervisor(supervisor: subprocess.Popen[bytes], tmp_path: Path) -> None:
    [fork] = _forks(tmp_path, 1)
    supervisor.kill()
    supervisor.wait()
    assert _ends(fork)
