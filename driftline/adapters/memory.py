"""Keeps processes small: what they do not load, and what the C library keeps of memory that is free again.

Called at the start of the service's processes, and by workers after their work. The calls to the C library are glibc's;
with another one they do nothing.
"""

import ctypes
import sys
import time
from functools import cache
from typing import Any

EVERY = 10.0
"""Seconds between two times that free memory is given back."""

_MAPPED, _ARENAS = -3, -8
"""M_MMAP_THRESHOLD and M_ARENA_MAX of malloc.h."""
_LARGE = 256 * 1024
_trimmed_at = 0.0


def start(arenas: int = 2) -> None:
    """Of a process that runs for long, before it has threads and before it loads most of its code.

    All threads share so many heaps: else each of a worker's threads has one of its own, and what one of them frees
    serves no other. Python holds its lock while it allocates, so that more heaps would be no faster. What is large (a
    page of a LIST, a render) lies outside of them and is gone when it is freed: glibc would stop to do so after the
    first one, and each would leave a hole.

    Libraries that draw in terminals, where somebody has installed them, are not loaded by structlog and httpx: logs are
    plain lines here, and 5 MB of each process would be for nothing.
    """
    for name in ("rich", "pygments"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    if function := _glibc("mallopt"):
        function(_ARENAS, arenas)
        function(_MAPPED, _LARGE)


def trim() -> None:
    """Give the system what is free, if that was not done a moment ago; takes milliseconds."""
    global _trimmed_at
    now = time.monotonic()
    if now - _trimmed_at > EVERY and (function := _glibc("malloc_trim")):
        _trimmed_at = now
        function(0)


@cache
def _glibc(name: str) -> Any:
    """A function of the C library that is loaded, None if it has none of this name."""
    return getattr(ctypes.CDLL(None), name, None)
