"""apps_200, apps_500, cpu_200: many small applications by one app-of-apps, to all Synced and Healthy."""

from collections.abc import Iterator
from dataclasses import dataclass

from bench import calls
from bench.manifests import app_of_apps, application, names, service
from bench.rounds import rounds
from bench.rows import Measure, Row, median, ratio
from bench.stage import APPS, Stage, load

PER_APP = 4
CALLS = 1.1


@dataclass(frozen=True)
class Claim:
    """How many applications, how often, and the seconds they may take."""

    id: str
    number: int
    runs: int
    reach: float


APPS_200 = Claim("apps_200", 200, 5, 8.0)
APPS_500 = Claim("apps_500", 500, 5, 20.0)
CPU = 20.0


@dataclass(frozen=True)
class Outcome:
    """One run. Seconds; `cpu` by role."""

    seconds: float
    bare: float
    calls: dict[str, int]
    requests: int
    git: int
    cpu: dict[str, float]


def run_200() -> Iterator[Row]:
    begun = load()
    outcomes = [once(APPS_200.number) for _ in rounds(APPS_200.runs)]
    yield _row(APPS_200, outcomes, begun)
    yield _cpu_row(outcomes, begun)


def run_500() -> Iterator[Row]:
    begun = load()
    yield _row(APPS_500, [once(APPS_500.number) for _ in rounds(APPS_500.runs)], begun)


def once(number: int) -> Outcome:
    """A fresh installation that has done one small application gets all of them at once."""
    with Stage() as stage:
        stage.warm_up()
        bare = bare_loop(stage, number)
        repository = stage.repository("many", app_of_apps(number, stage.world.git.url("many"), APPS))
        root = application("root", repository.url, "root", "argocd")
        mark, requests, before = stage.cluster.audit_mark(), len(stage.world.git.requests), stage.cpu()
        start = stage.declare(root)
        stage.wait_well("app-", number, patience=40 + number / 2)
        end = stage.wait_well("root", 1)
        entries = stage.calls(mark)
        cpu = {name: spent - before[name] for name, spent in stage.cpu().items()}
        return Outcome(
            end - start, bare, calls.by_verb(entries), len(entries), len(stage.world.git.requests) - requests, cpu
        )


def bare_loop(stage: Stage, number: int) -> float:
    """The same objects in another namespace by 32 parallel applies; seconds."""
    stage.admin.make_namespace("bare")
    bodies = [body for name in names(number) for body in service(name, "bare")]
    seconds = stage.bare.apply_all(bodies)
    stage.quiet(3.0)
    return seconds


def _row(claim: Claim, outcomes: list[Outcome], begun: float) -> Row:
    typical = sorted(outcomes, key=lambda each: each.seconds)[len(outcomes) // 2]
    seconds, bare = median(each.seconds for each in outcomes), median(each.bare for each in outcomes)
    objects = claim.number * PER_APP
    return Row(
        claim.id,
        f"{claim.number} applications of {PER_APP} objects by one app-of-apps, to all Synced and Healthy",
        (
            Measure("time", seconds, "s", claim.reach),
            Measure("time / bare loop", median(ratio(each.seconds, each.bare) for each in outcomes), "", 2.0),
            Measure("calls an object", median(each.requests for each in outcomes) / objects, "", CALLS),
        ),
        runs=len(outcomes),
        calls=typical.calls,
        limit={"32 parallel applies, s": bare},
        details={"seconds": [round(each.seconds, 2) for each in outcomes], "git requests": typical.git},
        load=begun,
    )


def _cpu_row(outcomes: list[Outcome], begun: float) -> Row:
    roles = {name: round(median(each.cpu[name] for each in outcomes), 2) for name in outcomes[0].cpu}
    return Row(
        "cpu_200",
        "CPU seconds of all our processes in apps_200, broker included",
        (Measure("CPU", median(sum(each.cpu.values()) for each in outcomes), "s", CPU),),
        runs=len(outcomes),
        details={"by role": roles},
        load=begun,
    )
