"""The parent's side of the render helper: starts it when it is first needed, replaces it, never waits for ever."""

import io
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import orjson

from driftline.adapters.render.sandbox import Spawner
from driftline.adapters.render.settings import RenderSettings
from driftline.adapters.render.tools import kill
from driftline.desired.manifests import Parsed
from driftline.formats.yaml import Limits
from driftline.model.errors import Permanent, Temporary

_CHUNK = 1024 * 1024
_MOST_ANSWER = 256 * 1024 * 1024
_PROGRAM = "import sys; sys.path.insert(0, {root!r}); from driftline.adapters.render.helper import main; main()"
"""-I keeps the environment and the current directory out of the helper's search path, and with them a checkout that
is not installed: so the place that this very code came from is put in by hand."""


class Helper:
    """One helper process at a time, for one project at a time. Safe for threads: they take turns."""

    def __init__(self, spawner: Spawner, settings: RenderSettings) -> None:
        self._spawner, self._settings = spawner, settings
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] = io.BytesIO()
        self._owner, self._renders, self._pid = "", 0, 0
        self._busy = self._asked = 0.0

    def parse(
        self,
        owner: str,
        what: str,
        files: Iterable[tuple[str, bytes]],
        limits: Limits,
        more: Mapping[str, Any] | None = None,
    ) -> Parsed:
        """Have files read (`what` is `files`, `stream` or `jsonnet`) on behalf of project `owner`.

        Raises Permanent for what is wrong with the files, the time or memory they take included.
        """
        listed = list(files)
        request = {"what": what, "limits": asdict(limits), "files": [(n, len(c)) for n, c in listed], **(more or {})}
        header = orjson.dumps(request)
        frame = b"".join([len(header).to_bytes(4, "big"), header, *(content for _, content in listed)])
        subject = listed[0][0] if len(listed) == 1 else f"{len(listed)} manifest files"
        with self._lock:
            answer = orjson.loads(self._ask(owner, frame, subject))
        if "error" in answer:
            raise Permanent(answer["error"])
        return Parsed(tuple(answer["objects"]), tuple(answer["origins"]), tuple(answer["warnings"]))

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._stop()

    def _ask(self, owner: str, frame: bytes, subject: str) -> bytes:
        process = self._ready(owner)
        self._asked = time.monotonic()
        try:
            answer = self._exchange(process, frame, self._asked + self._settings.deadline.total_seconds())
        except TimeoutError:
            self._stop()
            seconds = self._settings.deadline.total_seconds()
            raise Permanent(f"{subject}: reading took longer than {seconds:.0f} s and was stopped") from None
        except (EOFError, OSError):
            raise self._lost(subject) from None
        self._busy += time.monotonic() - self._asked
        return answer

    def _exchange(self, process: "subprocess.Popen[bytes]", frame: bytes, until: float) -> bytes:
        """Write a request and read its answer, both without ever blocking past `until`."""
        assert process.stdin is not None and process.stdout is not None
        target, source = process.stdin.fileno(), process.stdout.fileno()
        rest = memoryview(frame)
        waiter = select.poll()
        waiter.register(target, select.POLLOUT)
        while rest:
            _wait(waiter, until)
            rest = rest[os.write(target, rest[:_CHUNK]) :]
        waiter = select.poll()
        waiter.register(source, select.POLLIN)
        size = int.from_bytes(_read(source, 4, waiter, until), "big")
        if size > _MOST_ANSWER:
            raise EOFError
        return _read(source, size, waiter, until)

    def _ready(self, owner: str) -> "subprocess.Popen[bytes]":
        """A running helper that has not seen another project's files and is not worn out."""
        process = self._process
        # The kernel counts processor time over the helper's whole life: half of it is left for each render.
        worn = self._renders >= self._settings.helper_renders or self._busy > self._half_of_its_time
        if process is not None and (
            worn or owner != self._owner or self._pid != os.getpid() or process.poll() is not None
        ):
            self._stop()
            process = None
        if process is None:
            process = self._start()
        self._owner, self._renders = owner, self._renders + 1
        return process

    def _start(self) -> "subprocess.Popen[bytes]":
        root = str(Path(__file__).parents[3])
        command = [sys.executable, "-I", "-c", _PROGRAM.format(root=root)]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        process = self._spawner.start(
            command, "/", {"LC_ALL": "C.UTF-8"}, subprocess.PIPE, subprocess.PIPE, self._errors
        )
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        self._process, self._renders, self._pid, self._busy = process, 0, os.getpid(), 0.0
        return process

    @property
    def _half_of_its_time(self) -> float:
        return self._settings.limits.cpu.total_seconds() / 2

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if self._pid == os.getpid():
            # After a fork it is the parent's child, not ours: only let go of the pipes.
            kill(process)
        for stream in (process.stdin, process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _lost(self, subject: str) -> Permanent | Temporary:
        """Why the helper went away in the middle of a request."""
        process = self._process
        assert process is not None
        try:
            code = process.wait(1)
        except subprocess.TimeoutExpired:
            code = 0
        self._errors.seek(0)
        said = self._errors.read(64 * 1024).decode("utf-8", "replace").strip().splitlines()
        self._stop()
        if any("MemoryError" in line or "bad_alloc" in line for line in said):
            return Permanent(
                f"{subject}: needs more than {self._settings.limits.data // 1024**2} MiB of memory to read"
            )
        if code == -9 and time.monotonic() - self._asked >= self._half_of_its_time:
            return Permanent(f"{subject}: takes too much processor time to read")
        if code == -9:
            return Temporary(f"{subject}: its reader was killed from outside; the machine may be out of memory")
        return Permanent(f"{subject}: its reader crashed on this content (code {code})")


def _wait(waiter: "select.poll", until: float) -> None:
    if not waiter.poll(max(0.0, until - time.monotonic()) * 1000):
        raise TimeoutError


def _read(source: int, size: int, waiter: "select.poll", until: float) -> bytes:
    parts: list[bytes] = []
    while size:
        _wait(waiter, until)
        part = os.read(source, min(size, _CHUNK))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
