"""Does many writes of one step at once, and looks between them whether it may go on. Called by flow."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from driftline.model.errors import Failure

WIDTH = 16
"""Writes at once, and the most that start between two looks."""
T = TypeVar("T")

_pools: dict[int, ThreadPoolExecutor] = {}


def run_all(calls: Sequence[Callable[[], T]], may_go_on: Callable[[], bool]) -> list[T | Failure | None]:
    """The result of each call, in order: its value, its Failure, or None if it was not begun.

    `may_go_on` is asked before the first and then before every 16th start; after a False nothing more starts, what
    runs is waited for. Other exceptions than Failure are raised after all have ended.
    """
    pool = _pool()
    results: list[T | Failure | None] = [None] * len(calls)
    running: dict[Future[T], int] = {}
    unexpected: list[BaseException] = []
    for index, call in enumerate(calls):
        if index % WIDTH == 0 and (unexpected or not may_go_on()):
            break
        if len(running) >= WIDTH:
            _collect(running, results, unexpected)
        running[pool.submit(call)] = index
    while running:
        _collect(running, results, unexpected)
    if unexpected:
        raise unexpected[0]
    return results


def _collect(running: dict[Future[T], int], results: list[T | Failure | None], unexpected: list[BaseException]) -> None:
    """Wait until at least one has ended, and keep what came of it."""
    ended, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in ended:
        index = running.pop(future)
        error = future.exception()
        if error is None:
            results[index] = future.result()
        elif isinstance(error, Failure):
            results[index] = error
        else:
            unexpected.append(error)


def _pool() -> ThreadPoolExecutor:
    """This process's threads; those of a parent do not survive a fork."""
    pid = os.getpid()
    if pid not in _pools:
        _pools.clear()
        _pools[pid] = ThreadPoolExecutor(WIDTH, thread_name_prefix="write")
    return _pools[pid]
