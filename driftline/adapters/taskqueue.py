"""The Celery task queue: how messages travel, and the side that sends them. Used by workers, beat and web.

A message is a job's number and nothing else. The database owns every job; a message only says 'look now', so a lost
message costs seconds and a doubled one nothing. The settings follow measurements: early acknowledgement with a
prefetch of one neither loses nor doubles work when the broker restarts, and everything that a killed worker drops is
found again by the tick.
"""

import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from celery import Celery
from kombu.entity import Queue

from driftline.adapters.settings import Settings

QUEUES = ("fast", "scan", "notify")
TICK_SECONDS = 2.0
BACKLOG = 1000
"""Hints that wait to be sent in one process; more are dropped, and found by the tick."""


@dataclass(frozen=True)
class Hint:
    """Tells some worker of a queue to look at a job now."""

    job_id: int
    queue: str


def broker_options(publisher: bool) -> dict[str, Any]:
    """Transport options. A publisher gives up within seconds: the row is there, the tick sends it again."""
    options: dict[str, Any] = {
        "visibility_timeout": 1800,
        "socket_connect_timeout": 2,
        "socket_timeout": 3 if publisher else 30,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "global_keyprefix": "driftline:",
    }
    if publisher:
        options |= {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
    return options


def make_celery(settings: Settings, publisher: bool = False, tasks: bool = True) -> Celery:
    """A Celery application for workers and beat, or (`publisher`) for processes that only send hints.

    `tasks=False` for a process that only names tasks: it loads none of the code that does them.
    """
    celery = Celery("driftline", broker=_kombu_url(settings.broker), include=["workers.tasks"] if tasks else [])
    celery.conf.update(
        broker_transport_options=broker_options(publisher),
        broker_connection_timeout=2,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5},
        task_serializer="json",
        accept_content=["json"],
        result_backend=None,
        task_ignore_result=True,
        task_acks_late=False,
        worker_consumer="workers.consumer:Consumer",
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_max_tasks_per_child=10_000,
        worker_max_memory_per_child=250_000,
        worker_soft_shutdown_timeout=25,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_eta_task_limit=100,
        task_soft_time_limit=540,
        task_time_limit=600,
        task_queues=[Queue(name) for name in QUEUES],  # type: ignore[no-untyped-call]
        task_default_queue="fast",
        task_create_missing_queues=False,
        beat_schedule={
            # A tick that waits longer than a few rounds says nothing new: it expires instead of piling up.
            "tick": {"task": "driftline.tick", "schedule": TICK_SECONDS, "options": {"queue": "fast", "expires": 10}},
        },
        beat_schedule_filename=str(settings.data_dir / "beat-schedule"),
        timezone="UTC",
    )
    return celery


def _kombu_url(url: str) -> str:
    """kombu spells a Unix socket `redis+socket://`; redis-py's `unix://` is accepted too."""
    return "redis+socket://" + url.removeprefix("unix://") if url.startswith("unix://") else url


class Publisher:
    """The sending side in one process: a background thread, so that no caller ever waits for the broker.

    The thread starts with the first hint, after any fork.
    """

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._waiting: queue.Queue[Hint] = queue.Queue(BACKLOG)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def send(self, hints: Sequence[Hint]) -> None:
        """Queue hints for sending. Returns at once, and never raises: what finds no room is dropped."""
        for hint in hints:
            try:
                self._waiting.put_nowait(hint)
            except queue.Full:
                break
        if self._thread is None or not self._thread.is_alive():
            with self._lock:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="hints", daemon=True)
                    self._thread.start()

    def flush(self, seconds: float = 2.0) -> None:
        """Wait until everything queued was sent or dropped, or the time is over."""
        done = threading.Event()

        def wait() -> None:
            self._waiting.join()
            done.set()

        threading.Thread(target=wait, daemon=True).start()
        done.wait(seconds)

    def _run(self) -> None:
        while True:
            hint = self._waiting.get()
            try:
                self._celery.send_task(
                    "driftline.run", args=[hint.job_id, hint.queue], queue=hint.queue, ignore_result=True, retry=False
                )
            except Exception:  # noqa: S110 - a lost hint costs a tick, and the broker's absence is seen elsewhere
                pass
            finally:
                self._waiting.task_done()
