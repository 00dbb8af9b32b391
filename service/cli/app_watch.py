"""Show how an operation goes: a live line on a terminal, one line per change elsewhere."""

import time
from typing import Any, TextIO

import click


def error_of(app: Any) -> str:
    """The first error among an application's conditions, in one line; empty if there is none."""
    for each in app["status"].get("conditions") or ():
        if each["type"].endswith("Error"):
            return f"{each['type']}: {' '.join(each['message'].split())}"
    return ""


class Watcher:
    """Tells of one application. On a terminal the last line is drawn again and again, and gone at the end."""

    def __init__(self, name: str, stream: TextIO) -> None:
        self._name = name
        self._stream = stream
        self._live: Any = None
        self._last = ""
        self._start = time.monotonic()

    def __enter__(self) -> "Watcher":
        if self._stream.isatty():
            from rich.console import Console
            from rich.status import Status

            self._live = Status(self._name, console=Console(file=self._stream))
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def tell(self, sync: Any) -> None:
        """A sync as it is now."""
        done = len(sync["operationState"]["syncResult"]["resources"])
        total = len((sync.get("planView") or {}).get("changes") or ())
        progress = f" {done} of {total} objects" if total else ""
        waiting = (sync.get("waiting") or {}).get("reason") if isinstance(sync.get("waiting"), dict) else ""
        self._say(f"{sync['phase']} {sync['stage']}{progress}{f', {waiting}' if waiting else ''}")

    def tell_state(self, app: Any) -> None:
        """An application as it is now."""
        status = app["status"]
        message = status["health"].get("message")
        reason = f"; {found}" if (found := error_of(app)) else ""
        self._say(
            f"{status['sync']['status']}, {status['health']['status']}{f' ({message})' if message else ''}{reason}"
        )

    def _say(self, text: str) -> None:
        seconds = time.monotonic() - self._start
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text(f"{self._name}: {text} ({seconds:.0f} s)"))
        elif text != self._last:
            click.echo(f"{seconds:6.1f} s  {self._name}: {text}", file=self._stream)
        self._last = text
