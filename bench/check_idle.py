"""check_idle: a drift check of one application with 1,500 objects of which none has changed, with and without watch."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from bench import calls
from bench.look import until
from bench.manifests import application, config_maps
from bench.rows import Measure, Row, median, ratio
from bench.stage import ALL, APPS, Stage, load
from driftline.adapters.settings import read_settings
from driftline.adapters.store import jobs
from driftline.adapters.store.installation import installation_id
from driftline.adapters.taskqueue import Hint, Publisher, make_celery
from driftline.flow.subjects import scan_request
from driftline.model.marks import INSTALLATION_LABEL

OBJECTS, CHECKS = 1500, 10
WATCHED = 10.0
"""Seconds of looking on while `watch` runs."""


def run() -> Iterator[Row]:
    begun = load()
    without_watch = tuple(name for name in ALL if name != "watch")
    with Stage(without_watch, {"DRIFTLINE_DRIFT_INTERVAL": "0"}) as stage:
        repository = stage.repository("idle", config_maps(OBJECTS))
        stage.declare(application("idle", repository.url, "app", APPS))
        stage.wait_well("idle", 1, patience=120)
        stage.quiet(2.0)
        checker = Checker(stage)
        checker.check()  # the first one makes the rows that `watch` would have made
        stage.quiet(2.0)
        took, bare, counted, verbs, cpu = [], [], [], {}, []
        for _ in range(CHECKS):
            bare.append(checker.bare())
            mark, before = stage.cluster.audit_mark(), sum(stage.cpu().values())
            took.append(checker.check())
            entries = stage.calls(mark)
            cpu.append(sum(stage.cpu().values()) - before)
            counted.append((len(entries), len(calls.writes(entries))))
            verbs = calls.by_verb(entries)
            stage.quiet(0.3)
        watched = checker.watched()
    limit = median(bare)
    yield Row(
        "check_idle",
        f"drift check of one application with {OBJECTS} objects, nothing changed",
        (
            Measure("time", median(took), "s"),
            Measure("time / raw paged LIST", ratio(median(took), limit), "", 3.0),
            Measure("calls an object", median(number for number, _ in counted) / OBJECTS, "", 0.01),
            Measure("writes", max(number for _, number in counted), "", 0),
            Measure("calls with watch", watched, "", 0),
        ),
        runs=CHECKS,
        calls=verbs,
        limit={"raw paged LIST, s": limit},
        details={"seconds": [round(each, 3) for each in took], "CPU s of a check": round(median(cpu), 3)},
        load=begun,
    )


class Checker:
    """Asks for checks of the cluster as beat does, and waits for their end."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._cluster = stage.look.cluster_id()
        self._publisher = Publisher(make_celery(read_settings(stage.world.env), publisher=True))
        with stage.look.store.read() as db:
            self._selector = f"{INSTALLATION_LABEL}={installation_id(db)}"

    def check(self) -> float:
        """One check; seconds from the wish to its end."""
        store, start = self._stage.look.store, time.perf_counter()
        with store.write() as db:
            number = jobs.request(db, scan_request(self._cluster))
        self._publisher.send([Hint(number, jobs.Queue.SCAN)])
        until(lambda: not self._stage.look.job_open(number), 60, "the check is done", 0.003)
        return time.perf_counter() - start

    def bare(self) -> float:
        """One LIST of the same objects in pages; seconds."""
        seconds, found = self._stage.bare.list_all("/api/v1/configmaps", self._selector)
        if found != OBJECTS:
            raise RuntimeError(f"the LIST finds {found} objects, not {OBJECTS}")
        return seconds

    def watched(self) -> int:
        """Calls but the watches themselves while `watch` sees everything and a check is asked for."""
        stage = self._stage
        stage.world.spawn("watch", [sys.executable, "-P", "-m", "service.cli.main", "watch"])
        until(self._bookmarked, 60, "watch sees everything", 0.1)
        stage.quiet(3.0)
        mark = stage.cluster.audit_mark()
        deadline = time.monotonic() + WATCHED
        while time.monotonic() < deadline:
            self.check()
            time.sleep(1.0)
        return len([each for each in stage.calls(mark) if each.verb != "watch"])

    def _bookmarked(self) -> bool:
        at = self._stage.look.watched_since()
        return at is not None and datetime.now(UTC) - at < timedelta(seconds=30)
