"""The metrics port: what all processes of this machine counted, and what the database knows at this moment."""

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from driftline.adapters import metrics
from driftline.adapters.metrics import Reading
from driftline.adapters.store import applications, drifts, jobs
from driftline.flow.assemble import edges_of_this_process
from driftline.flow.edges import Edges
from driftline.model.errors import Failure

RETRY = 5.0
"""Seconds between attempts to get the port: the worker before us may still be ending."""


def readings(edges: Edges) -> Iterator[Reading]:
    """Queues, applications and drift, from the database; nothing while that is away."""
    try:
        with edges.store.read() as db:
            ages, waiting = jobs.oldest_due_age(db), jobs.counts(db)
            apps, drift = applications.counts(db), drifts.open_counts(db)
    except Failure:
        yield Reading("driftline_database_up", "Whether the database answers", 0)
        return
    yield Reading("driftline_database_up", "Whether the database answers", 1)
    for queue in jobs.Queue:
        age = ages[queue].total_seconds() if queue in ages else 0.0
        yield Reading("driftline_queue_age_seconds", "How long the first due job has waited", age, {"queue": queue})
    for (name, state), number in waiting.items():
        labels = {"queue": str(name), "state": str(state)}
        yield Reading("driftline_jobs_open", "Jobs that have not ended, by queue and state", number, labels)
    for (sync, health), number in apps.items():
        labels = {"sync": str(sync), "health": str(health)}
        yield Reading("driftline_applications", "Applications by sync status and health", number, labels)
    yield Reading("driftline_drifted_fields", "Fields that are not as Git says now", sum(drift.values()))
    yield Reading("driftline_drifted_applications", "Applications with drift now", len(drift))


class _Metrics(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self) -> None:
        if self.path.partition("?")[0] not in ("/metrics", "/"):
            self.send_error(404)
            return
        content, kind = metrics.render(readings(edges_of_this_process("web")))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are not worth a line each."""


def serve(listen: str) -> None:
    """Serve the metrics port for as long as the process lives."""
    host, _, port = listen.rpartition(":")
    while True:
        try:
            server = ThreadingHTTPServer((host.strip("[]") or "0.0.0.0", int(port)), _Metrics)  # noqa: S104
        except OSError as problem:
            edges_of_this_process("web").log.warning("metrics port not open", listen=listen, reason=str(problem))
            time.sleep(RETRY)
            continue
        server.serve_forever()
