"""Every line of the log is one event, readable by machines, and without a credential in it."""

import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import structlog

from driftline.adapters import logs

CANARY = "c4nary-7f3a9-value"


@pytest.fixture
def log() -> Iterator[StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.excepthook, threading.excepthook, sys.unraisablehook)
    stream = StringIO()
    yield stream
    root.handlers[:], root.level, sys.excepthook, threading.excepthook, sys.unraisablehook = before
    logging.captureWarnings(False)
    structlog.reset_defaults()
    for name in logs.QUIET:
        logging.getLogger(name).setLevel(logging.NOTSET)


def lines(log: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def fail() -> None:
    try:
        raise ValueError(f"cannot reach redis://:{CANARY}@cache:6379/0")
    except ValueError as error:
        raise RuntimeError(f"task failed, password={CANARY}") from error


def test_an_event_is_one_json_object_with_its_process(log: StringIO) -> None:
    logs.setup("worker", stream=log)
    with structlog.contextvars.bound_contextvars(application="shop"):
        structlog.get_logger("driftline.flow").info("sync started", revision="abc", objects=3)
    (line,) = lines(log)
    assert line["event"] == "sync started" and line["objects"] == 3 and line["application"] == "shop"
    assert (line["role"], line["level"], line["logger"]) == ("worker", "info", "driftline.flow")
    assert line["time"].endswith("Z") and isinstance(line["pid"], int)


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize(
    "name", ["celery.worker", "celery.task", "werkzeug", "sqlalchemy.engine", "kombu", "gunicorn.error"]
)
def test_records_and_tracebacks_of_libraries_are_masked(log: StringIO, name: str, format: str) -> None:
    own = logging.StreamHandler(log)
    logging.getLogger(name).addHandler(own)
    logs.setup("worker", format, stream=log)
    logging.getLogger(name).warning("connecting to amqp://guest:%s@host//", CANARY)
    try:
        fail()
    except RuntimeError:
        logging.getLogger(name).exception("[parameters: ('%s',)]", CANARY)
    text = log.getvalue()
    assert CANARY not in text
    assert "amqp://***@host//" in text and "Traceback" in text and "RuntimeError" in text and "ValueError" in text
    if format == "json":
        assert len(lines(log)) == 2


def test_values_under_telling_names_and_whole_secrets_are_masked(log: StringIO) -> None:
    logs.setup("web", stream=log)
    secret = {"kind": "Secret", "metadata": {"name": "db"}, "data": {"anything": CANARY}}
    structlog.get_logger().warning(
        "odd", db_password=CANARY, object=secret, headers={"Authorization": CANARY}, raw=CANARY.encode() * 0
    )
    assert CANARY not in log.getvalue() and '"name":"db"' in log.getvalue()


def test_nothing_that_is_logged_can_break_the_log_or_its_lines(log: StringIO) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    logs.setup("web", stream=log)
    logger = structlog.get_logger()
    loop: list[Any] = []
    loop.append(loop)
    for value in (Broken(), "\ud800", 2**80, {1: {2, 3}}, loop, "two\nlines", b"\xff", float("nan"), "x" * 500_000):
        logger.info("value", value=value)
    logging.getLogger("x").info("%d arguments", CANARY)
    found = lines(log)
    assert found[-1]["event"] == "a log call failed" and found[-1]["template"] == "%d arguments"
    assert CANARY not in log.getvalue()
    assert [line["event"] for line in found[:8]] == ["value"] * 8
    assert max(map(len, log.getvalue().splitlines())) <= logs.LONGEST_LINE


def test_levels_and_loud_libraries(log: StringIO) -> None:
    logs.setup("web", level="info", stream=log)
    logging.getLogger("driftline").debug("not shown")
    logging.getLogger("httpx").info("HTTP Request: POST https://host/token")
    logging.getLogger("kubernetes.client.rest").debug("response body")
    warnings.warn("shown once", stacklevel=1)
    assert [line["logger"] for line in lines(log)] == ["py.warnings"]


def test_setting_up_twice_does_not_log_twice(log: StringIO) -> None:
    logs.setup("web", stream=log)
    logs.setup("web", stream=log)
    logging.getLogger("late").addHandler(logging.StreamHandler(log))
    logs.redirected(["late"])
    logging.getLogger("late").warning("once")
    assert len(lines(log)) == 1


PROGRAM = """
import sys, threading
from driftline.adapters import logs
logs.setup("watch", "json", "INFO")
def fail():
    raise RuntimeError("https://u:{canary}@host failed")
thread = threading.Thread(target=fail, name="reflector")
thread.start(); thread.join()
class Odd:
    def __del__(self):
        fail()
Odd()
fail()
"""


def test_what_nobody_caught_is_logged_masked_instead_of_printed() -> None:
    program = PROGRAM.format(canary=CANARY)
    # -c leaves no source file, so the canary can only come from the message.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and done.stdout == ""
    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in found] == [
        "uncaught exception in a thread",
        "exception that cannot be raised",
        "uncaught exception",
    ]
    assert found[0]["in_thread"] == "reflector"
    assert CANARY not in done.stderr and "https://***@host failed" in done.stderr
