"""Keeps a set of child processes running: restarts what dies, ends all of them together."""

import ctypes
import multiprocessing
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

RESTART_FIRST = 0.5
RESTART_MOST = 30.0
STEADY = 30.0
"""Seconds after which a process counts as started well, and its next restart is quick again."""


@dataclass(frozen=True)
class Program:
    """One process to keep running. `env` is added to ours; `grace` is the time it gets between SIGTERM and SIGKILL.

    With `run` it is a fork of ours that calls `run` instead of a program of its own: it shares the memory of what is
    loaded by now. Only for a process without threads, and without output of its children to read.
    """

    name: str
    argv: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    grace: timedelta = timedelta(seconds=30)
    run: Callable[[], object] | None = None


def tied(argv: Sequence[str]) -> list[str]:
    """The command line with the kernel's promise that the process ends when its parent does, where setpriv is there."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--", *argv] if setpriv else list(argv)


class _Process(Protocol):
    """What of `subprocess.Popen` is used here."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def terminate(self) -> None: ...


class Fork:
    """A copy of this process that calls one function and ends, in a session of its own, and with its parent."""

    def __init__(self, name: str, run: Callable[[], object]) -> None:
        self._process = multiprocessing.get_context("fork").Process(
            target=_forked, args=(name, run, os.getpid()), name=name
        )
        # A signal that comes while the child still has our handlers would be lost in it: it waits until they are reset.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.pid = int(self._process.pid or 0)

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return code

    def terminate(self) -> None:
        self._process.terminate()


_SET_DEATH_SIGNAL, _SET_NAME = 1, 15
"""Of prctl(2)."""

_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What a supervisor handles, and its forks do not."""


def _forked(name: str, run: Callable[[], object], parent: int) -> None:
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_SET_DEATH_SIGNAL, int(signal.SIGTERM))
        prctl(_SET_NAME, name.encode()[:15])
        if os.getppid() != parent:
            return  # it ended before we were tied to it
    run()


class _Child:
    def __init__(self, program: Program, output: Callable[[str, str], None] | None) -> None:
        self.program = program
        self.output = output
        self.process: _Process | None = None
        self.started = 0.0
        self.due = 0.0
        self.delay = RESTART_FIRST

    def start(self) -> None:
        self.started = time.monotonic()
        if self.program.run is not None:
            self.process = Fork(self.program.name, self.program.run)
            return
        started = self.process = subprocess.Popen(
            tied(self.program.argv),
            env={**os.environ, **self.program.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if self.output else None,
            stderr=subprocess.STDOUT if self.output else None,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        if self.output:
            threading.Thread(target=self._read, args=(started,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None and self.output is not None
        for line in process.stdout:
            self.output(self.program.name, line.rstrip("\n"))

    def keep(self, now: float) -> None:
        """Start it again if it ended, later each time that it ended early."""
        if self.process is not None and self.process.poll() is not None:
            if self.output:
                self.output(self.program.name, f"ended with code {self.process.returncode}; starting it again")
            # Its own children may have outlived it, idle and with their memory and connections.
            self.signal(signal.SIGKILL)
            steady = now - self.started > STEADY
            self.delay = RESTART_FIRST if steady else min(self.delay * 2, RESTART_MOST)
            self.due, self.process = now + self.delay, None
        if self.process is None and now >= self.due:
            self.start()

    def signal(self, number: int) -> None:
        """Signal the whole process group, which may have members when its leader is dead.

        Its number is not given to another process as long as it has any; only an empty group's may be.
        """
        if self.process is not None:
            try:
                os.killpg(self.process.pid, number)
            except (ProcessLookupError, PermissionError):
                pass


class Supervisor:
    """Runs programs until `stop` or a SIGTERM/SIGINT; a program that ends is started again."""

    def __init__(self, programs: Sequence[Program], output: Callable[[str, str], None] | None = None) -> None:
        self._children = [_Child(program, output) for program in programs]
        self._stopping = threading.Event()

    def run(self) -> None:
        """Start everything and stay until told to stop; then end everything."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self._stopping.set())
        try:
            while not self._stopping.is_set():
                for child in self._children:
                    child.keep(time.monotonic())
                self._stopping.wait(0.2)
        finally:
            self._end()

    def stop(self) -> None:
        """Make `run` return."""
        self._stopping.set()

    def _end(self) -> None:
        """End in reverse order, so that a broker outlives the processes that use it."""
        for child in reversed(self._children):
            process = child.process
            if process is None:
                continue
            if process.poll() is None:
                # The main process first: it ends its own children in its own order.
                process.terminate()
                try:
                    process.wait(child.program.grace.total_seconds())
                except subprocess.TimeoutExpired:
                    pass
            child.signal(signal.SIGKILL)
