"""monorepo_1000, memory_1000: a repository of a thousand applications; a push that touches one of them."""

from collections.abc import Iterator

from bench import calls, procs
from bench.look import until
from bench.manifests import app_of_apps, application, service, text
from bench.rows import Measure, Row, median
from bench.stage import ALL, APPS, Repository, Stage, load

NUMBER = 1000
PUSHES = 10
MEMORY = 600.0


def run() -> Iterator[Row]:
    begun = load()
    with Stage() as stage:
        repository = stage.repository("mono", app_of_apps(NUMBER, stage.world.git.url("mono"), APPS))
        start = stage.declare(application("root", repository.url, "root", "argocd"))
        stage.wait_well("app-", NUMBER, patience=600, every=0.2)
        end = stage.wait_well("root", 1, patience=60)
        yield _pushes(stage, repository, begun)
        stage.quiet(3.0)
        yield _memory(stage, begun, end - start)


def _pushes(stage: Stage, repository: Repository, begun: float) -> Row:
    took, fetches, renders, first = [], [], [], []
    verbs: dict[str, int] = {}
    for number in range(PUSHES):
        stage.quiet(1.0)
        name = f"app-{number * 97 % NUMBER:04}"
        push = repository.push({f"apps/{name}/all.yaml": text(service(name, value=f"v{number}"))})
        mark, requests, known = stage.cluster.audit_mark(), len(stage.world.git.requests), stage.look.renders()
        sent = push.announce()
        done = until(lambda: stage.look.at(name, push.commit), 30, f"{name} is Synced")  # noqa: B023
        took.append(done - sent.at)
        stage.quiet(0.5)
        entries = stage.calls(mark, sent.at)
        first.append((calls.first_write(entries) or float("inf")) - sent.at)
        verbs = calls.by_verb(entries)
        fetches.append(repository.fetches(requests))
        renders.append(stage.look.renders() - known)
    return Row(
        "monorepo_1000",
        f"a push touches one of {NUMBER} applications of one repository, webhook to Synced",
        (
            Measure("Synced", median(took), "s", 0.6),
            Measure("fetches", median(fetches), "", 1),
            Measure("new renders", max(renders), "", 1),
            Measure("first write", median(first), "s"),
        ),
        runs=PUSHES,
        calls=verbs,
        details={"seconds": [round(each, 3) for each in took], "fetches": fetches, "renders": renders},
        load=begun,
    )


def _memory(stage: Stage, begun: float, creation: float) -> Row:
    roles = {name: round(procs.pss([stage.roots[name]])) for name in (*ALL, "broker") if name in stage.roots}
    total = procs.pss([stage.roots[name] for name in ALL])
    return Row(
        "memory_1000",
        f"PSS of web, worker, beat and watch with all their children, {NUMBER} applications of 4 objects",
        (Measure("PSS", total, "MB", MEMORY),),
        runs=1,
        details={"by role": roles, f"seconds until all {NUMBER} were Synced and Healthy": round(creation, 1)},
        load=begun,
    )
