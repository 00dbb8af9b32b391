"""Processes for untrusted input: no network, limited by the kernel, dead with their parent.

The filter that takes the network away (seccomp) belongs to a thread and is inherited by what the thread starts. So one
thread of this process gives up the network for itself and then starts all renderers. That costs nothing per start; a
launcher program in between would cost a Python start-up of 15 to 20 ms each time. The thread lives as long as the
spawner, which also keeps the parent-death signal right: the kernel sends it when the starting *thread* ends.
"""

import ctypes
import os
import platform
import queue
import shutil
import struct
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Any

from driftline.adapters.render.settings import ProcessLimits
from driftline.model.errors import Permanent, Temporary

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _KILL_PROCESS, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | 13
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_AF_UNIX = 1
_X32 = 0x40000000


@dataclass(frozen=True)
class _Architecture:
    """The kernel's name of an architecture and its numbers of the system calls that matter."""

    audit: int
    socket: int
    refused: tuple[int, ...]
    """connect, ptrace, process_vm_readv, process_vm_writev, io_uring_setup (which can open sockets past a filter)."""


_ARCHITECTURES = {
    "x86_64": _Architecture(0xC000003E, 41, (42, 101, 310, 311, 425)),
    "aarch64": _Architecture(0xC00000B7, 198, (203, 117, 270, 271, 425)),
}


class Guard(StrEnum):
    """What keeps renderers off the network."""

    SECCOMP = "seccomp"
    NAMESPACE = "network namespace"
    NONE = "none"


def network_filter(machine: str) -> bytes:
    """A BPF program for seccomp: `socket` for AF_UNIX only, no `connect`, no reading of other processes' memory.

    Raises KeyError for an architecture that is not known.
    """
    about = _ARCHITECTURES[machine]
    refused = about.refused
    code = [(_LOAD, 0, 0, _ARCHITECTURE), (_JUMP_IF_EQUAL, 1, 0, about.audit), (_RETURN, 0, 0, _KILL_PROCESS)]
    code += [(_LOAD, 0, 0, _NUMBER), (_JUMP_IF_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _REFUSE)]
    for number in refused:
        code += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    code += [(_JUMP_IF_EQUAL, 0, 3, about.socket), (_LOAD, 0, 0, _FIRST_ARGUMENT)]
    code += [(_JUMP_IF_EQUAL, 1, 0, _AF_UNIX), (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in code)


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def give_up_network() -> bool:
    """Take the network from the calling thread and all that it will start; False if the kernel does not do it.

    Cannot be undone for this thread. Other threads are not affected.
    """
    try:
        code = network_filter(platform.machine())
        library = ctypes.CDLL(None, use_errno=True)
        if library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            return False
        program = _Program(len(code) // 8, code)
        return bool(library.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program)) == 0)
    except (KeyError, OSError, AttributeError):
        return False


@dataclass
class _Order:
    """A request to the thread, and its answer."""

    start: Callable[[], "subprocess.Popen[bytes]"]
    done: threading.Event
    process: "subprocess.Popen[bytes] | None" = None
    error: BaseException | None = None


class Spawner:
    """Starts renderers. Make it after fork; `close` it, or let it end with the process."""

    def __init__(self, limits: ProcessLimits, allow_unsandboxed: bool = False) -> None:
        self._limits, self._allow = limits, allow_unsandboxed
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._guard = Guard.NONE
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._lock = threading.Lock()

    @property
    def guard(self) -> Guard:
        """What keeps renderers off the network here."""
        self._running()
        return self._guard

    def start(
        self, command: Sequence[str], cwd: str, env: dict[str, str], stdin: int, stdout: int | IO[Any], stderr: IO[Any]
    ) -> "subprocess.Popen[bytes]":
        """Start a program in a session of its own. Raises Permanent where that is not safe or not possible."""
        self._running()
        chain = [*self._chain(), *command]
        order = _Order(
            lambda: subprocess.Popen(
                chain, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
            ),
            threading.Event(),
        )
        self._orders.put(order)
        order.done.wait()
        if order.process is None:
            raise Temporary(f"{command[0]}: could not be started: {order.error}") from order.error
        return order.process

    def close(self) -> None:
        """End the thread; what it started and still runs is killed by the kernel."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None and self._pid == os.getpid():
            self._orders.put(None)
            thread.join(5)

    def _chain(self) -> list[str]:
        """The programs that set the limits and then become the renderer."""
        if self._guard is Guard.NONE and not self._allow:
            raise Permanent(
                "rendering: this kernel lets nobody take the network from a process (neither seccomp nor "
                "unshare -rn works); allow it with DRIFTLINE_RENDER_UNSANDBOXED=true if all repositories are trusted"
            )
        setpriv, prlimit = shutil.which("setpriv"), shutil.which("prlimit")
        if setpriv is None or prlimit is None:
            if self._allow:
                return []
            raise Permanent("rendering: setpriv and prlimit are missing; install util-linux (apt install util-linux)")
        limits = self._limits
        chain = [setpriv, "--pdeathsig", "KILL", "--no-new-privs", "--", prlimit]
        chain += [f"--data={limits.data}", f"--cpu={int(limits.cpu.total_seconds())}", f"--fsize={limits.file_size}"]
        chain += [f"--nofile={limits.open_files}", "--core=0", "--"]
        return ["unshare", "-rn", "--", *chain] if self._guard is Guard.NAMESPACE else chain

    def _running(self) -> None:
        """Have the thread, also in a process that was forked off since it was started."""
        with self._lock:
            if self._thread is None or self._pid != os.getpid():
                self._orders, self._ready, self._pid = queue.SimpleQueue(), threading.Event(), os.getpid()
                self._thread = threading.Thread(target=self._work, name="renderers", daemon=True)
                self._thread.start()
            ready = self._ready
        # Whoever comes while the thread is starting waits as well: what guards it is not known before.
        ready.wait()

    def _work(self) -> None:
        orders = self._orders
        if give_up_network():
            self._guard = Guard.SECCOMP
        else:
            self._guard = Guard.NAMESPACE if _can_unshare() else Guard.NONE
        self._ready.set()
        while (order := orders.get()) is not None:
            try:
                order.process = order.start()
            except BaseException as error:
                order.error = error
            order.done.set()


def _can_unshare() -> bool:
    """Whether `unshare -rn` works here; many container run-times forbid it."""
    try:
        return subprocess.run(["unshare", "-rn", "--", "true"], capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
