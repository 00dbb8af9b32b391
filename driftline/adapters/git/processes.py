"""Runs one git command to its end or to its deadline, and then ends everything that it has started."""

import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

_LOOK_EVERY = 0.25
_GRACE = 1.0
_PIECE = 65536
_MOST_ERRORS = 256 * 1024
_MOST_OUTPUT = 128 * 1024 * 1024


class DeadlineMissed(Exception):
    """The command was killed with all its children because its time was over."""


class OutputTooLarge(Exception):
    """The command was killed because it printed more than anything sensible would."""


@dataclass(frozen=True)
class Command:
    """A command line with its environment. `stdin` is given to it from a file, never from a pipe it could block on."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(repr=False)
    cwd: Path
    deadline: timedelta
    stdin: bytes = b""


@dataclass(frozen=True)
class Done:
    """How a command ended. `errors` is what it wrote to stderr, of a flood only the end."""

    code: int
    output: bytes
    errors: str


def run(
    command: Command,
    look: Callable[[], None] | None = None,
    started: Callable[[int], None] | None = None,
) -> Done:
    """Run a command in a process group of its own. Raises DeadlineMissed or OutputTooLarge after killing the group.

    `started` hears the group's id. `look` is called several times a second and may raise to end the command.
    GitPython's `execute` is not used here: its timeout kills a list of children taken at one moment, not the group.
    """
    with tempfile.TemporaryFile() as stdin:
        stdin.write(command.stdin)
        stdin.seek(0)
        process = subprocess.Popen(
            command.argv,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=command.cwd,
            env=command.env,
            start_new_session=True,
        )
    try:
        if started:
            started(process.pid)
        until = time.monotonic() + command.deadline.total_seconds()
        output, errors = _drain(process, until, look)
        code = process.wait(max(_GRACE, until - time.monotonic()))
        return Done(code, output, errors.decode(errors="replace"))
    except subprocess.TimeoutExpired as error:
        raise DeadlineMissed from error
    finally:
        end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a command that has not been waited for, and all it has started; do nothing if it has.

    Politely at first: git then removes its temporary files itself. As long as the leader has not been waited for, its
    id cannot be given to another group.
    """
    if process.returncode is None:
        _signal(process.pid, signal.SIGTERM)
        time_left = time.monotonic() + _GRACE
        while time.monotonic() < time_left and not _ended(process.pid):
            time.sleep(0.01)
        _signal(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


def _ended(pid: int) -> bool:
    """Whether a child has ended, without reaping it."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def _drain(process: subprocess.Popen[bytes], until: float, look: Callable[[], None] | None) -> tuple[bytes, bytes]:
    output, errors = bytearray(), bytearray()
    assert process.stdout is not None and process.stderr is not None
    look_at = time.monotonic() + _LOOK_EVERY
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, output)
        selector.register(process.stderr, selectors.EVENT_READ, errors)
        while selector.get_map():
            moment = time.monotonic()
            if moment >= until:
                raise DeadlineMissed
            for key, _ in selector.select(min(until, look_at) - moment if look else until - moment):
                piece = os.read(key.fd, _PIECE)
                if not piece:
                    selector.unregister(key.fileobj)
                key.data.extend(piece)
            if len(output) > _MOST_OUTPUT:
                raise OutputTooLarge
            if len(errors) > _MOST_ERRORS:
                del errors[: len(errors) - _MOST_ERRORS // 2]
            if look and time.monotonic() >= look_at:
                look()
                look_at = time.monotonic() + _LOOK_EVERY
    return bytes(output), bytes(errors)
