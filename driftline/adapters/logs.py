"""The log of every process: one JSON object or one coloured line per event, on standard error, always masked.

`setup` is called once per process, before anything logs. Everything ends up in one handler: our own events
(`structlog.get_logger()`), those of libraries through `logging`, warnings, and exceptions that nobody caught.
"""

import logging
import os
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from driftline.model.masking import scrub_value

QUIET = {
    # Each logs one line per request, with its URL.
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "urllib3": logging.WARNING,
    "slack_sdk": logging.WARNING,
    "kubernetes": logging.INFO,  # DEBUG logs whole bodies, Secrets among them
    "werkzeug": logging.WARNING,
}
LONGEST_LINE = 64 * 1024
"""Characters of one event that are written; the rest is cut."""


_EXTRA = structlog.stdlib.ExtraAdder(allow=["in_thread"])


def setup(role: str, format: str = "json", level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send all logging of this process, masked, to `stream` (standard error).

    `role` is `web`, `worker`, `beat`, `watch` or `cli`; `format` is `json` or `console`; `level` a level of `logging`.
    Handlers that libraries have set up until now are removed. Calling it again changes the set-up.
    """
    target = stream or sys.stderr
    before = _before(role)
    handler = _Handler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*before, _EXTRA], processors=_ending(format, target.isatty())
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    _take_over(handler, logging.getLevelNamesMapping().get(level.upper(), logging.INFO))
    _catch_what_nobody_caught()


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines; a call of the log that is itself wrong becomes a line, not a traceback with its raw arguments."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        what = {"event": "a log call failed", "logger": record.name, "template": str(record.msg), "level": "error"}
        try:
            self.stream.write(_json(None, "", scrub_value({**what, "error": type(error).__name__})) + self.terminator)
        except (OSError, ValueError):
            pass  # the stream is gone: there is nowhere left to say so


def _before(role: str) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _process(role),
    ]


def _process(role: str) -> Processor:
    def add(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event.setdefault("role", role)
        event.setdefault("pid", os.getpid())
        return event

    return add


def _ending(format: str, colours: bool) -> list[Processor]:
    """What makes a line of an event: tracebacks become text, then everything is masked, then it is written out."""
    render: Processor = structlog.dev.ConsoleRenderer(colors=colours) if format == "console" else _json
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _masked,
        render,
    ]


def _masked(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return cast(EventDict, scrub_value(event))


def _json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z
    try:
        line = orjson.dumps(event, default=str, option=options).decode()
    except TypeError:  # broken Unicode or a number too large for JSON readers
        repaired = {
            str(name): (value if isinstance(value, str) else repr(value))[:LONGEST_LINE]
            for name, value in event.items()
        }
        line = orjson.dumps(_plain(repaired)).decode()
    if len(line) <= LONGEST_LINE:
        return line
    short = {name: event.get(name) for name in ("time", "level", "logger", "role", "pid")}
    return orjson.dumps({**short, "event": line[: LONGEST_LINE // 2], "cut": len(line)}, default=str).decode()


def _plain(event: dict[str, str]) -> dict[str, str]:
    return {
        name.encode("ascii", "replace").decode(): text.encode("ascii", "replace").decode()
        for name, text in event.items()
    }


def _take_over(handler: logging.Handler, level: int) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, other in list(logging.root.manager.loggerDict.items()):
        if isinstance(other, logging.Logger) and name not in QUIET:
            other.handlers[:] = [kept for kept in other.handlers if isinstance(kept, logging.NullHandler)]
            other.propagate, other.disabled = True, False
    for name, quiet in QUIET.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
        logger.setLevel(max(quiet, level))
    logging.captureWarnings(True)


def _catch_what_nobody_caught() -> None:
    """Python prints such tracebacks itself, unmasked: log them instead."""
    logger = logging.getLogger("driftline.uncaught")

    def main_thread(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        logger.critical("uncaught exception", exc_info=(kind, error, trace))

    def other_thread(given: threading.ExceptHookArgs) -> None:
        if given.exc_value is not None and not issubclass(given.exc_type, SystemExit):
            where = {"in_thread": given.thread.name} if given.thread else {}
            trace = (given.exc_type, given.exc_value, given.exc_traceback)
            logger.critical("uncaught exception in a thread", exc_info=trace, extra=where)

    def unraisable(given: Any) -> None:
        if given.exc_value is not None:
            trace = (given.exc_type, given.exc_value, given.exc_traceback)
            logger.error("exception that cannot be raised", exc_info=trace)

    sys.excepthook = main_thread
    threading.excepthook = other_thread
    sys.unraisablehook = unraisable


def redirected(names: Sequence[str]) -> None:
    """Send loggers that a library sets up late (gunicorn, after our `setup`) to our handler as well."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
