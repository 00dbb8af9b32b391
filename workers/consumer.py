"""How a Celery worker comes back to its broker: soon. Named by `worker_consumer` in the task queue's settings."""

from functools import partial
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

WAITS = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 3.0}
"""Seconds between two attempts. Celery's own grow to half a minute, and a push would wait that long after an outage."""


class Consumer(CeleryConsumer):  # type: ignore[misc]
    """Celery's, with short waits between attempts to reach the broker."""

    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection = partial(conn.ensure_connection, **WAITS)
        return super().ensure_connected(conn)
