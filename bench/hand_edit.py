"""hand_edit: somebody changes an object by hand; until the drift is recorded, and until it is repaired."""

import time
from collections.abc import Iterator
from itertools import pairwise

from bench import calls
from bench.look import until
from bench.manifests import application, config_maps
from bench.raw import Raw
from bench.rows import Measure, Row, percentile
from bench.stage import APPS, Stage, load
from deploy.localcluster.audit import AuditEntry
from driftline.model.objects import Key

OBJECTS, EDITS = 40, 30
"""Each edit is of another object: repairs of one field again and again back off, and count as a fight in the end."""


def run() -> Iterator[Row]:
    begun = load()
    with Stage() as stage:
        repository = stage.repository("edited", config_maps(OBJECTS))
        stage.declare(application("edited", repository.url, "app", APPS))
        stage.wait_well("edited", 1)
        stage.quiet()
        mark = stage.cluster.audit_mark()
        edits, recorded = [], []
        for index in range(EDITS):
            name = f"map-{index:04}"
            known, key = stage.look.newest_drift(), Key("", "ConfigMap", APPS, name).id
            edits.append(time.time())
            _edit(stage.admin, name)
            seen = until(lambda: stage.look.drifts(key, known), 20, f"the drift of {name} is recorded", 0.003)  # noqa: B023
            recorded.append(seen - edits[-1])
            until(lambda: stage.look.drifts(key, known, closed=True), 30, f"the drift of {name} has ended")  # noqa: B023
            stage.quiet(0.3)
        entries = stage.calls(mark)
    repaired = [found - at for found, at in zip(_repairs(entries, edits), edits, strict=True) if found is not None]
    last = [each for each in entries if each.at.timestamp() >= edits[-1]]
    yield Row(
        "hand_edit",
        f"hand edit of one object to drift recorded and to repaired, {EDITS} different objects",
        (
            Measure("recorded p50", percentile(recorded, 0.5), "s", 0.1),
            Measure("repaired p50", percentile(repaired, 0.5), "s", 0.3),
            Measure("recorded p95", percentile(recorded, 0.95), "s"),
            Measure("repaired p95", percentile(repaired, 0.95), "s"),
        ),
        runs=EDITS,
        calls=calls.by_verb(last),
        details={"recorded": [round(each, 3) for each in recorded], "repaired": [round(each, 3) for each in repaired]},
        load=begun,
    )


def _edit(admin: Raw, name: str) -> None:
    path = f"/api/v1/namespaces/{APPS}/configmaps/{name}?fieldManager=kubectl-edit"
    admin.call("PATCH", path, {"data": {"value": "by hand"}}, "application/merge-patch+json")


def _repairs(entries: list[AuditEntry], edits: list[float]) -> list[float | None]:
    """When the write after each edit was answered; None if there was none before the next edit."""
    found: list[float | None] = []
    for start, end in pairwise([*edits, float("inf")]):
        made = [each for each in calls.writes(entries) if start <= each.at.timestamp() < end]
        found.append(made[0].answered_at.timestamp() if made else None)
    return found
