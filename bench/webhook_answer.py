"""webhook_answer: how soon a webhook is answered, 50 a second for 20 seconds, while applications are synced."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench import calls
from bench.manifests import application, service, text
from bench.rows import Measure, Row, percentile
from bench.stage import APPS, Repository, Stage, load

RATE, SECONDS = 50, 20
APPLICATIONS = 3


def run() -> Iterator[Row]:
    begun = load()
    with Stage() as stage:
        stage.warm_up()
        repositories = [_synced(stage, f"busy-{number}") for number in range(APPLICATIONS)]
        stage.quiet()
        before, mark = stage.look.deliveries(), stage.cluster.audit_mark()
        answered = stage.directory / "answers.json"
        generator = _generator(stage, repositories[0].push({"note": "news"}).payload, answered)
        syncs = _keep_busy(repositories, generator)
        answers = json.loads(answered.read_text())
        rows = stage.look.deliveries() - before - syncs
        entries = stage.calls(mark)
    took = [each["took"] for each in answers]
    wrong = len([each for each in answers if each["status"] != 202])
    yield Row(
        "webhook_answer",
        f"webhook answered, {RATE} a second for {SECONDS} s, while {syncs} pushes were synced",
        (
            Measure("p50", percentile(took, 0.5) * 1000, "ms", 5.0),
            Measure("p99", percentile(took, 0.99) * 1000, "ms", 20.0),
            Measure("answers but 202", wrong, "", 0),
            Measure("deliveries without a row", len(answers) - rows, "", 0),
            Measure("max", max(took) * 1000, "ms"),
        ),
        runs=len(answers),
        calls=calls.by_verb(entries),
        details={
            "p90, ms": round(percentile(took, 0.9) * 1000, 2),
            "sent late p99, ms": round(percentile([each["late"] for each in answers], 0.99) * 1000, 2),
            "writes meanwhile": len(calls.writes(entries)),
        },
        load=begun,
    )


def _synced(stage: Stage, name: str) -> Repository:
    repository = stage.repository(name, {"app/all.yaml": text(service(name))})
    stage.declare(application(name, repository.url, "app", APPS))
    stage.wait_well(name, 1)
    return repository


def _generator(stage: Stage, payload: object, answered: Path) -> "subprocess.Popen[bytes]":
    """Start sending; what became of the deliveries is in `answered` when it ends."""
    wanted = {"url": stage.receiver.url, "secret": stage.receiver.secret, "payload": payload}
    orders = stage.directory / "orders.json"
    orders.write_text(json.dumps({**wanted, "rate": RATE, "seconds": SECONDS}))
    with orders.open("rb") as given, answered.open("wb") as taken:
        return subprocess.Popen([sys.executable, "-m", "bench.deliveries"], stdin=given, stdout=taken)


def _keep_busy(repositories: list[Repository], generator: "subprocess.Popen[bytes]") -> int:
    """Push real changes to the applications in turn until the deliveries are all sent; how many."""
    number = 0
    while generator.poll() is None:
        repository = repositories[number % len(repositories)]
        changed = text(service(repository.name, value=f"v{number}"))
        repository.push({"app/all.yaml": changed}).announce()
        number += 1
        try:
            generator.wait(0.5)
        except subprocess.TimeoutExpired:
            continue
    return number
