"""How gunicorn serves the web process: read by `driftline web`. Everything comes from the settings."""

import gc
import threading
from typing import Any

from driftline.adapters import memory, metrics
from driftline.adapters.settings import read_settings

memory.start()
_settings = read_settings()

bind = _settings.listen
worker_class = "gthread"
workers = _settings.web_workers
threads = _settings.web_threads
timeout = 120
graceful_timeout = 25
keepalive = 15
max_requests = 0
accesslog = None
# Headers that name the client's address count from a proxy on this machine only.
forwarded_allow_ips = "127.0.0.1,::1"
limit_request_line = 8190
preload_app = False
control_socket_disable = True

metrics.setup(_settings.data_dir / "metrics", "web")


def on_starting(server: Any) -> None:
    """Load all code once; the workers are forked from here and share it. Connections are made after the fork.

    One worker would share it with nobody: it loads the code itself, and this process stays small.
    """
    if workers > 1:
        import service.web  # noqa: F401


def pre_fork(server: Any, worker: Any) -> None:
    """Give the worker the lowest free slot, and keep the collector off what all of them share."""
    taken = {getattr(other, "slot", None) for other in server.WORKERS.values()}
    worker.slot = next(number for number in range(len(taken) + 1) if number not in taken)
    gc.collect()
    gc.freeze()


def post_fork(server: Any, worker: Any) -> None:
    """Count as the slot's process."""
    metrics.setup(_settings.data_dir / "metrics", "web", str(worker.slot))


def post_worker_init(worker: Any) -> None:
    """Send gunicorn's own log lines through the masker; the first worker shows the metrics."""
    from driftline.adapters.logs import redirected

    redirected(("gunicorn.error", "gunicorn.access"))
    if worker.slot == 0 and _settings.metrics_listen:
        from service.api.scrape import serve

        threading.Thread(target=serve, args=(_settings.metrics_listen,), name="metrics", daemon=True).start()


def worker_exit(server: Any, worker: Any) -> None:
    """Let go of connections and child processes."""
    from driftline.flow.assemble import close_edges

    close_edges()
