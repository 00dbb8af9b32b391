"""app_budget: what one small application costs in messages, transactions, statements, process starts and API calls."""

import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import calls, counts
from bench.manifests import app_of_apps, application, service, text
from bench.rows import Measure, Row, median
from bench.stage import APPS, Stage, load
from driftline.adapters.settings import Settings, read_settings

PER_APP = 4
SINGLES, TOGETHER = 10, 100
BUDGET = {"messages": 2.0, "transactions": 6.0, "statements": 20.0, "process starts": 0.0, "writes": 4.0, "GETs": 0.0}
"""Of one application of four objects, created to Healthy."""
IDLE = 6.0
"""Seconds of looking at what the processes do when nothing happens; that rate is taken off."""


@dataclass(frozen=True)
class Spent:
    """What was spent between two moments, by name; by role; and what was started."""

    total: dict[str, float]
    roles: dict[str, dict[str, int]]
    starts: dict[str, int]
    statements: dict[str, int]
    seconds: float

    def without(self, idle: "Spent") -> dict[str, float]:
        """The total without what would have been spent anyway in that time."""
        share = self.seconds / idle.seconds
        return {name: max(0.0, value - share * idle.total.get(name, 0.0)) for name, value in self.total.items()}


def run() -> Iterator[Row]:
    begun = load()
    with tempfile.TemporaryDirectory(prefix="dlcount-") as folder:
        directory = Path(folder)
        # Without beat: its ticks belong to no application.
        with Stage(("web", "worker", "watch"), counts.environment(directory)) as stage:
            meter = Meter(stage, directory, read_settings(stage.world.env))
            stage.warm_up()
            many = _together(stage, meter)
            singles = _singles(stage, meter)
            idle = _idle(stage, meter)
    each = {name: value / TOGETHER for name, value in many.without(idle).items() if name in BUDGET}
    yield Row(
        "app_budget",
        f"one application of {PER_APP} objects, created to Healthy: the average of {TOGETHER} by one app-of-apps, "
        "whose own sync and fetch are counted in",
        tuple(Measure(name, each[name], "", _allowed(name, reach)) for name, reach in BUDGET.items()),
        runs=TOGETHER,
        calls={name[4:]: int(value) for name, value in many.total.items() if name.startswith("api ")},
        details={
            "by role": many.roles,
            "started": many.starts,
            "statements an application": {name: number / TOGETHER for name, number in many.statements.items()},
            "one alone, declared by the API, with its fetch": _alone(singles, idle),
            "idle, a second": {name: round(value / idle.seconds, 2) for name, value in idle.total.items() if value},
        },
        load=begun,
    )


def _allowed(name: str, reach: float) -> float:
    """The app-of-apps itself may start its fetch and look up what it needs once: 0.2 is no process an application."""
    return reach + 0.2 if name == "process starts" else reach


def _alone(singles: list[Spent], idle: Spent) -> dict[str, Any]:
    typical = {name: round(median(each.without(idle)[name] for each in singles), 1) for name in BUDGET}
    return {**typical, "by role": singles[-1].roles, "started": singles[-1].starts}


def _together(stage: Stage, meter: "Meter") -> Spent:
    repository = stage.repository("many", app_of_apps(TOGETHER, stage.world.git.url("many"), APPS))
    stage.quiet(1.0)
    meter.begin()
    stage.declare(application("root", repository.url, "root", "argocd"))
    stage.wait_well("app-", TOGETHER, patience=120)
    stage.wait_well("root", 1)
    stage.quiet(1.0)
    return meter.spent("app-")


def _singles(stage: Stage, meter: "Meter") -> list[Spent]:
    """Applications one by one. Their repository is known and its commit is there: no fetch brings news."""
    names = [f"one-{number}" for number in range(SINGLES + 1)]
    files = {f"{name}/all.yaml": text(service(name)) for name in names}
    repository = stage.repository("singles", files)
    found = []
    for name in names:
        stage.quiet(0.5)
        meter.begin()
        stage.declare(application(name, repository.url, name, APPS))
        stage.wait_well(name, 1)
        stage.quiet(0.5)
        found.append(meter.spent(name))
    return found[1:]  # the first one brought the repository


def _idle(stage: Stage, meter: "Meter") -> Spent:
    stage.quiet(2.0)
    meter.begin()
    time.sleep(IDLE)
    return meter.spent("")


class Meter:
    """Everything that is counted of one installation."""

    def __init__(self, stage: Stage, directory: Path, settings: Settings) -> None:
        self._stage, self._directory, self._settings = stage, directory, settings

    def begin(self) -> None:
        self._mark = self._stage.cluster.audit_mark()
        self._messages = counts.messages(self._settings)
        self._counted = counts.counted(self._directory)
        self._started = len(counts.starts(self._directory))
        self._stated = len(counts.statements(self._directory))
        self._at = time.monotonic()

    def spent(self, prefix: str) -> Spent:
        """What was spent since `begin`; GETs are counted of objects whose names begin with a prefix."""
        seconds = time.monotonic() - self._at
        roles = counts.since(counts.counted(self._directory), self._counted)
        total = sum(roles.values(), Counter[str]())
        entries = self._stage.calls(self._mark)
        found: dict[str, float] = {
            "messages": counts.messages(self._settings) - self._messages,
            "transactions": total["transactions"],
            "statements": total["statements"],
            "process starts": total["starts"],
            "writes": len(calls.writes(entries)),
            "GETs": len([each for each in entries if each.verb == "get" and each.name.startswith(prefix or "-")]),
        }
        verbs = {f"api {verb}": float(number) for verb, number in calls.by_verb(entries).items()}
        started = Counter(map(program, counts.starts(self._directory)[self._started :]))
        stated = Counter(map(counts.shape, counts.statements(self._directory)[self._stated :]))
        by_role = {role: dict(each) for role, each in roles.items() if each}
        return Spent(found | verbs, by_role, dict(started), dict(stated.most_common(25)), seconds)


def program(command: str) -> str:
    """What a command line starts, without its parameters: `git fetch`, `driftline.adapters.render.helper`."""
    words = command.split()
    names = [word.rpartition("/")[2] for word in words]
    if "git" in names:
        rest = [word for word in words[names.index("git") + 1 :] if re.fullmatch("[a-z][a-z-]+", word)]
        return f"git {rest[0]}" if rest else "git"
    if "-m" in words:
        return words[words.index("-m") + 1]
    return names[0] if names else ""
