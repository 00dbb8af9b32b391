"""app_budget: what one small application costs in messages, transactions, statements, process starts and API calls."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import calls, counts
from bench.manifests import app_of_apps, application, service, text
from bench.rows import Measure, Row, median
from bench.stage import APPS, Stage, load
from driftline.adapters.settings import Settings, read_settings

PER_APP = 4
SINGLES, TOGETHER = 10, 100
BUDGET = {"messages": 2.0, "transactions": 6.0, "statements": 20.0, "process starts": 0.0, "writes": 4.0, "GETs": 0.0}
"""Of one application of four objects, created to Healthy."""


@dataclass(frozen=True)
class Spent:
    """What was spent between two moments, by name; and by role."""

    total: dict[str, float]
    roles: dict[str, dict[str, int]]


def run() -> Iterator[Row]:
    begun = load()
    with tempfile.TemporaryDirectory(prefix="dlcount-") as folder:
        directory = Path(folder)
        # Without beat: its ticks belong to no application. Without polling, for the same reason.
        with Stage(("web", "worker", "watch"), counts.environment(directory)) as stage:
            meter = Meter(stage, directory, read_settings(stage.world.env))
            stage.warm_up()
            singles = _singles(stage, meter)
            many = _together(stage, meter)
    typical = {name: median(each.total[name] for each in singles) for name in BUDGET}
    each = {name: value / TOGETHER for name, value in many.total.items() if name in BUDGET}
    yield Row(
        "app_budget",
        f"one application of {PER_APP} objects in a known repository, declared by the API, to Healthy",
        tuple(Measure(name, typical[name], "", reach) for name, reach in BUDGET.items()),
        runs=SINGLES,
        calls={name: int(value) for name, value in singles[-1].total.items() if name.startswith("api ")},
        details={
            "by role": singles[-1].roles,
            f"each of {TOGETHER} by one app-of-apps": {name: round(value, 2) for name, value in each.items()},
            f"{TOGETHER} by role": many.roles,
        },
        load=begun,
    )


def _singles(stage: Stage, meter: "Meter") -> list[Spent]:
    """Applications one by one. Their repository is known and its commit is there: no fetch brings news."""
    names = [f"one-{number}" for number in range(SINGLES + 1)]
    files = {f"{name}/all.yaml": text(service(name)) for name in names}
    repository = stage.repository("singles", files)
    found = []
    for name in names:
        stage.quiet(1.0)
        meter.begin()
        stage.declare(application(name, repository.url, name, APPS))
        stage.wait_well(name, 1)
        stage.quiet(1.0)
        found.append(meter.spent())
    return found[1:]  # the first one brought the repository


def _together(stage: Stage, meter: "Meter") -> Spent:
    repository = stage.repository("many", app_of_apps(TOGETHER, stage.world.git.url("many"), APPS))
    stage.quiet(1.0)
    meter.begin()
    stage.declare(application("root", repository.url, "root", "argocd"))
    stage.wait_well("app-", TOGETHER, patience=120)
    stage.wait_well("root", 1)
    stage.quiet(1.0)
    return meter.spent()


class Meter:
    """Everything that is counted of one installation."""

    def __init__(self, stage: Stage, directory: Path, settings: Settings) -> None:
        self._stage, self._directory, self._settings = stage, directory, settings

    def begin(self) -> None:
        self._mark = self._stage.cluster.audit_mark()
        self._messages = counts.messages(self._settings)
        self._counted = counts.counted(self._directory)

    def spent(self) -> Spent:
        """What was spent since `begin`."""
        roles = counts.since(counts.counted(self._directory), self._counted)
        total = sum(roles.values(), Counter[str]())
        entries = self._stage.calls(self._mark)
        found: dict[str, float] = {
            "messages": counts.messages(self._settings) - self._messages,
            "transactions": total["transactions"],
            "statements": total["statements"],
            "process starts": total["starts"],
            "writes": len(calls.writes(entries)),
            "GETs": len([each for each in entries if each.verb == "get" and each.resource]),
        }
        verbs = {f"api {verb}": float(number) for verb, number in calls.by_verb(entries).items()}
        return Spent(found | verbs, {role: dict(each) for role, each in roles.items() if each})
