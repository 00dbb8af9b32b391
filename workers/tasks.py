"""The tasks: load the job, call flow. Their arguments are numbers; everything else comes from the database."""

import gc
import logging
import sys
import threading
from typing import Any

from billiard import current_process
from celery.signals import setup_logging, worker_init, worker_process_init, worker_process_shutdown

from driftline.adapters import logs, memory, metrics
from driftline.adapters.settings import read_settings
from driftline.flow import tick as ticking
from driftline.flow import work
from driftline.flow.assemble import close_edges, edges_of_this_process
from driftline.flow.edges import Edges
from driftline.flow.tidy import tidy
from driftline.flow.warming import warm
from workers.app import celery


@celery.task(name="driftline.run")  # type: ignore[untyped-decorator]
def run(job_id: int, queue: str) -> None:
    """Do one job if it is still due, then what else is due in its queue."""
    work.drain(_edges(), queue, first=job_id)
    # A burst of jobs leaves a heap that the next quiet hour has no use for.
    memory.trim()


@celery.task(name="driftline.tick")  # type: ignore[untyped-decorator]
def tick() -> None:
    """Find what is due and nobody was told of."""
    ticking.tick(_edges())
    tidy(_edges())
    memory.trim()


def _edges() -> Edges:
    return edges_of_this_process("worker")


@setup_logging.connect  # type: ignore[untyped-decorator]
def _logging(**_: Any) -> None:
    settings = read_settings()
    logs.setup("worker", settings.log_format, settings.log_level)
    # A line for each message of each task would be most of the log, and says less than the job's own.
    for name in ("celery", "kombu", "amqp"):
        logging.getLogger(name).setLevel(logging.WARNING)


@worker_init.connect  # type: ignore[untyped-decorator]
def _before_fork(**_: Any) -> None:
    # What is loaded by now is shared by all children as long as nobody writes to it: keep the collector off it.
    gc.collect()
    gc.freeze()


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _after_fork(**_: Any) -> None:
    node = next((word.partition("@")[0] for word in sys.argv if "@" in word), "worker")
    metrics.setup(read_settings().data_dir / "metrics", f"worker-{node}", str(getattr(current_process(), "index", 0)))
    edges = edges_of_this_process("worker")
    if node == "fast":
        threading.Thread(target=warm, args=(edges,), name="warming", daemon=True).start()


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def _at_end(**_: Any) -> None:
    close_edges()
