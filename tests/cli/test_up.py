"""A whole installation by one command: every process starts, answers, and ends without leaving anything behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Installation:
    """Settings for a data directory and ports of its own."""

    def __init__(self, directory: Path) -> None:
        self.port, self.metrics = free_port(), free_port()
        self.directory = directory
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DRIFTLINE_")},
            "DRIFTLINE_DATA_DIR": str(directory),
            "DRIFTLINE_LISTEN": f"127.0.0.1:{self.port}",
            "DRIFTLINE_METRICS_LISTEN": f"127.0.0.1:{self.metrics}",
            "DRIFTLINE_CONFIG": str(directory / "config.json"),
            "KUBECONFIG": "",
        }

    def driftline(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "service.cli.main", *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=100)

    def processes(self) -> dict[int, str]:
        """Everything that runs for this data directory, whoever started it: process id -> command line."""
        mark = f"DRIFTLINE_DATA_DIR={self.directory}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return {number: command for number, command in found.items() if command}


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    found = Installation(tmp_path / "data")
    yield found
    found.driftline("down")
    for number in found.processes():
        os.kill(number, signal.SIGKILL)


def test_one_command_starts_everything_and_another_ends_it(installation: Installation) -> None:
    started = installation.driftline("up", "--detach")
    assert started.returncode == 0, started.stderr
    password = started.stdout.partition("its password is ")[2].split()[0]
    url = f"http://127.0.0.1:{installation.port}"
    assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200

    signed_in = installation.driftline("login", url, "--username", "admin", "--password", password)
    assert signed_in.returncode == 0, signed_in.stderr
    assert installation.driftline("app", "list").returncode == 0

    metrics = f"http://127.0.0.1:{installation.metrics}/metrics"
    assert "driftline_database_up 1.0" in httpx.get(metrics, trust_env=False).text

    second = installation.driftline("up")
    assert second.returncode == 1 and "runs already" in second.stderr
    rotated = installation.driftline("keys", "rotate")
    assert rotated.returncode == 1 and "driftline down first" in rotated.stderr

    # The scheduler's tick reaches a worker through the embedded broker.
    deadline = time.monotonic() + 40
    while installation.driftline("doctor", "--alive", "worker").returncode:
        assert time.monotonic() < deadline, (installation.directory / "up.log").read_text()[-3000:]

    assert installation.driftline("down").returncode == 0
    deadline = time.monotonic() + 10
    while left := installation.processes():
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    assert "does not run" in installation.driftline("down").stdout
    kept = installation.driftline("keys", "rotate")
    assert kept.returncode == 0, kept.stderr
    assert (installation.directory / "data_keys").read_text().count(",") == 1


@pytest.mark.parametrize("words", [("up", "--detach"), ("up",)])
def test_an_address_that_is_taken_is_said_before_anything_starts(
    installation: Installation, words: tuple[str, ...]
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", installation.port))
        other.listen()
        started = installation.driftline(*words)
    assert started.returncode == 1 and "password" not in started.stdout
    assert started.stderr.startswith(f"driftline: 127.0.0.1:{installation.port}: the web process cannot listen there")
    assert "another program listens there" in started.stderr and "DRIFTLINE_LISTEN=" in started.stderr
    assert not installation.processes()
