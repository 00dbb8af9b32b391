"""The processes of an installation. Each command becomes the process it starts."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click


def commands() -> dict[str, list[str]]:
    """The command line of each process. `-P`: a folder named `service` where we are called from must not be taken."""
    python = [sys.executable, "-P", "-m"]
    return {
        "web": [*python, "gunicorn", "-c", "python:service.gunicorn_conf", "service.web:app"],
        "worker": [*python, "workers.supervise"],
        "beat": [*python, "celery", "-A", "workers.beat", "beat", "-l", "WARNING"],
        "watch": [*python, "workers.start_watch"],
    }


def become(name: str) -> NoReturn:
    """Turn into one of them, with settings that were checked."""
    from driftline.adapters.settings import read_settings

    settings = read_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    _run(commands()[name])


def _run(argv: Sequence[str]) -> NoReturn:
    sys.stdout.flush()
    os.execv(argv[0], list(argv))  # noqa: S606 - the same Python, with arguments of our own


@click.command()
def web() -> None:
    """Run the web process: webhooks, API, UI."""
    become("web")


@click.command()
def worker() -> None:
    """Run the workers: fetch, render, compare, apply, alert."""
    become("worker")


@click.command()
def beat() -> None:
    """Run the scheduler: ticks that find due work."""
    become("beat")


@click.command()
def watch() -> None:
    """Run the watch: sees changes in clusters at once."""
    become("watch")
