"""`driftline up` and `driftline down`: a whole installation on one machine, with broker and database of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli import running
from service.cli.failing import Problem
from service.cli.listening import answers, require_free
from service.cli.processes import commands

if TYPE_CHECKING:
    from driftline.adapters.processes import Program
    from driftline.adapters.settings import Settings

COLOURS = {"broker": "bright_black", "web": "cyan", "worker": "green", "beat": "magenta", "watch": "yellow"}
START = 60.0
"""Seconds that a detached installation gets to become ready."""
STOP = 60.0
"""Seconds that it gets to end."""


@click.command()
@click.option("--detach", "-d", is_flag=True, help="Start in the background; driftline down ends it.")
def up(detach: bool) -> None:
    """Run everything: migrations, broker, web, worker, beat and watch. Ctrl-C ends all of it.

    The database is SQLite and the broker a Valkey or Redis of its own, in DRIFTLINE_DATA_DIR, unless
    DRIFTLINE_DATABASE_URL and DRIFTLINE_BROKER_URL name others.
    """
    from driftline.adapters.settings import read_settings

    settings = read_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if detach:
        _detach(settings)
        return
    with running.only_one(settings.data_dir):
        require_free(settings.listen)
        _prepare()
        _follow(settings)


def _prepare() -> None:
    """Migrate in a process of its own, so that this one stays small: it has to stay for as long as the others."""
    done = subprocess.run([sys.executable, "-P", "-m", "service.cli.main", "migrate"], check=False)
    if done.returncode:
        raise Problem("the database could not be prepared; see above")


def _follow(settings: "Settings") -> None:
    from driftline.adapters import metrics
    from driftline.adapters.processes import Supervisor

    metrics.prepare(settings.data_dir / "metrics")
    announce = threading.Thread(target=_announce, args=(settings,), daemon=True)
    announce.start()
    Supervisor(programs(settings), _print).run()


def programs(settings: "Settings") -> list["Program"]:
    """What runs, the broker first: it ends last."""
    from datetime import timedelta

    from driftline.adapters.broker import command
    from driftline.adapters.processes import Program

    # Where people look at the lines themselves, they are for people.
    env = {} if "DRIFTLINE_LOG_FORMAT" in os.environ else {"DRIFTLINE_LOG_FORMAT": "console"}
    found = [] if settings.broker_url else [Program("broker", command(settings))]
    found += [Program(name, argv, {**env, "PYTHONUNBUFFERED": "1"}) for name, argv in commands().items()]
    if not settings.broker_url:
        found[0] = Program("broker", found[0].argv, grace=timedelta(seconds=10))
    return found


_printing = threading.Lock()


def _print(name: str, line: str) -> None:
    """One line of one process, with its name in front."""
    with _printing:
        try:
            click.echo(f"{click.style(f'{name:<7}|', fg=COLOURS.get(name))} {line}")
        except OSError:
            pass  # nobody reads any more: the processes go on


def _announce(settings: "Settings") -> None:
    if ready(settings, START):
        click.secho(f"Driftline is at {settings.public_url}", bold=True)
    else:
        click.secho(f"{settings.listen}: the web process does not answer yet; its lines above say why", bold=True)


def ready(settings: "Settings", patience: float, alive: Callable[[], bool] = lambda: True) -> bool:
    """Wait until the web process says that it is ready; no longer than `alive` is true."""
    end = time.monotonic() + patience
    while time.monotonic() < end and alive():
        if answers(settings.listen):
            return alive()
        time.sleep(0.2)
    return False


def _detach(settings: "Settings") -> None:
    if running.pid(settings.data_dir):
        raise Problem(f"{settings.data_dir}: driftline up runs already; end it with driftline down")
    require_free(settings.listen)
    _prepare()
    log = settings.data_dir / "up.log"
    with log.open("ab") as out:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "service.cli.main", "up"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    log.chmod(0o600)
    if not ready(settings, START, lambda: child.poll() is None):
        ended = child.poll() is not None
        if not ended:
            _end(child.pid, settings.data_dir)
        what = "ended while it started" if ended else f"did not become ready within {START:.0f} s"
        raise Problem(f"driftline up: {what}; the last lines of {log}:\n{_tail(log)}")
    click.echo(f"Driftline is at {settings.public_url}; its log is {log}; driftline down ends it")


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


@click.command()
def down() -> None:
    """End what `driftline up` runs for this data directory."""
    from driftline.adapters.settings import read_settings

    settings = read_settings()
    number = running.pid(settings.data_dir)
    if number is None:
        click.echo(f"{settings.data_dir}: driftline up does not run")
        return
    if not _end(number, settings.data_dir):
        raise Problem(f"process {number}: did not end within {STOP:.0f} s")
    click.echo("ended")


def _end(number: int, data_dir: Path) -> bool:
    """Ask a process to end, and wait until it lets go of the lock."""
    try:
        os.kill(number, signal.SIGTERM)
    except ProcessLookupError:
        return True
    end = time.monotonic() + STOP
    while time.monotonic() < end:
        if running.pid(data_dir) is None:
            return True
        time.sleep(0.1)
    return False
