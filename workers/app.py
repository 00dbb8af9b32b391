"""The Celery application: how messages travel. A message is a job's number and nothing else.

The database owns every job; a message only says 'look now'. So a lost message costs seconds, a doubled one nothing.
The settings follow measurements: early acknowledgement with a prefetch of one neither loses nor doubles work when the
broker restarts, and everything that a killed worker drops is found again by the tick.
"""

from typing import Any

from celery import Celery
from kombu import Queue

from driftline.adapters.settings import Settings, read_settings

QUEUES = ("fast", "scan", "notify")
TICK_SECONDS = 2.0


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


def make_celery(settings: Settings, publisher: bool = False) -> Celery:
    """A Celery application for workers and beat, or (`publisher`) for processes that only send hints."""
    celery = Celery("driftline", broker=_kombu_url(settings.broker), include=["workers.tasks"])
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
        task_queues=[Queue(name) for name in QUEUES],
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


celery = make_celery(read_settings())
