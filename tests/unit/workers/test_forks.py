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


CHILD = """
import os, subprocess, sys, time
from pathlib import Path
from driftline.adapters.processes import Program, Supervisor

def work(folder=Path(sys.argv[1])):
    child = subprocess.Popen(["sleep", "60"])
    (folder / str(os.getpid())).write_text(str(child.pid))
    time.sleep(60)

Supervisor([Program("worker", run=work)]).run()
"""

EARLY = """
import os, signal, time
from driftline.adapters.processes import Fork

signal.signal(signal.SIGTERM, lambda *_: None)
begin = os.setsid
os.setsid = lambda: (os.kill(os.getpid(), signal.SIGTERM), begin())
fork = Fork("worker", lambda: time.sleep(5))
print(fork.wait(20), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
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


def test_what_a_killed_process_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    running = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)])
    try:
        [first] = _forks(tmp_path, 1)
        os.kill(first, signal.SIGKILL)
        second = _forks(tmp_path, 2)[-1]
        assert _ends(int((tmp_path / str(first)).read_text())), "its child would wait for it, and hold its memory"
        left = int((tmp_path / str(second)).read_text())
        assert os.path.exists(f"/proc/{left}")
        # Both at once: no look is left to notice that the process is dead.
        running.send_signal(signal.SIGSTOP)
        os.kill(second, signal.SIGKILL)
        running.terminate()
        running.send_signal(signal.SIGCONT)
        assert running.wait(20) == 0
        assert _ends(left)
    finally:
        running.kill()
        running.wait()


def test_a_fork_that_is_told_to_end_while_it_begins_ends() -> None:
    told = subprocess.run([sys.executable, "-c", EARLY], capture_output=True, text=True, timeout=30, check=True)
    assert told.stdout.split() == [str(-signal.SIGTERM), "set()"]
