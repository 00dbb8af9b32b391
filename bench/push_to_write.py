"""push_to_write: from the webhook to the first write in the cluster, for a small application of plain YAML."""

import subprocess
import time
from collections.abc import Iterator

from bench import calls
from bench.look import until
from bench.manifests import application, config_map, service, text
from bench.rows import Measure, Row, median, percentile, ratio
from bench.stage import APPS, Repository, Stage, load
from deploy.demo.worktree import git_environment
from deploy.localcluster.audit import AuditEntry

PUSHES = 30
REACH = {"p50": 0.25, "p95": 0.5}
PAUSE = 0.3


def run() -> Iterator[Row]:
    begun = load()
    with Stage() as stage:
        stage.warm_up()
        repository = stage.repository("small", {"app/all.yaml": text(service("small"))})
        stage.declare(application("small", repository.url, "app", APPS))
        stage.wait_well("small", 1)
        limits = Bare(stage, repository)
        mark = stage.cluster.audit_mark()
        sent, synced, answers, bare = [], [], [], []
        for number in range(PUSHES):
            stage.quiet(PAUSE)
            push = repository.push({"app/all.yaml": text(service("small", value=f"v{number}"))})
            delivery = push.announce()
            sent.append(delivery.at)
            answers.append(delivery.took)
            done = until(lambda: stage.look.at("small", push.commit), 20, f"push {number} is Synced")  # noqa: B023
            synced.append(done - delivery.at)
            stage.quiet(PAUSE)
            bare.append(limits.once(number))
        entries = [each for each in stage.calls(mark) if each.name != Bare.NAME]
    yield _row(sent, synced, answers, bare, entries, begun)


def _row(
    sent: list[float],
    synced: list[float],
    answers: list[float],
    bare: list[float],
    entries: list[AuditEntry],
    begun: float,
) -> Row:
    windows = zip(sent, [*sent[1:], float("inf")], strict=True)
    slices = [[e for e in entries if start <= e.at.timestamp() < end] for start, end in windows]
    firsts = [calls.first_write(each) for each in slices]
    took = [first - start for first, start in zip(firsts, sent, strict=True) if first is not None]
    limit = median(bare)
    p50 = percentile(took, 0.5)
    return Row(
        "push_to_write",
        f"webhook to first write, {len(took)} pushes, small plain-YAML application",
        (
            Measure("p50", p50, "s", REACH["p50"]),
            Measure("p95", percentile(took, 0.95), "s", REACH["p95"]),
            Measure("p50 / (bare git fetch + PATCH)", ratio(p50, limit), "", 2.0),
            Measure("to Synced p50", percentile(synced, 0.5), "s"),
        ),
        runs=len(took),
        calls=calls.by_verb(sorted(slices, key=len)[len(slices) // 2]),
        limit={"git fetch + PATCH, s": limit},
        details={"seconds": [round(each, 4) for each in took], "webhook answered, s": round(median(answers), 4)},
        load=begun,
    )


class Bare:
    """The same with nothing around it: `git fetch` into a mirror, then one PATCH."""

    NAME = "bare"

    def __init__(self, stage: Stage, repository: Repository) -> None:
        self._stage, self._repository = stage, repository
        self._mirror = stage.directory / "bare.git"
        self._git("init", "--quiet", "--bare", str(self._mirror), at=stage.directory)
        self.once(-1)

    def once(self, number: int) -> float:
        """Seconds for a fetch of what is new and a write of one object."""
        start = time.perf_counter()
        self._git("fetch", "--quiet", "--no-tags", self._repository.url, "+refs/heads/main:refs/heads/main")
        self._stage.bare.apply(config_map(self.NAME, str(number), APPS))
        return time.perf_counter() - start

    def _git(self, *arguments: str, at: object = None) -> None:
        subprocess.run(["git", *arguments], cwd=str(at or self._mirror), env=git_environment({}), check=True)
