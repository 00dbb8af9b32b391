"""create_2000, one_of_2000: an application of 2,000 objects is created; then a push changes one of them."""

from collections.abc import Iterator

from bench import calls
from bench.look import until
from bench.manifests import application, config_map, config_maps, text
from bench.rounds import rounds
from bench.rows import Measure, Row, median, ratio
from bench.stage import APPS, Repository, Stage, load

OBJECTS = 2000
CREATED, PUSHES = 5, 5


def run() -> Iterator[Row]:
    begun = load()
    took, bare, verbs = [], [], {}
    pushed: Row | None = None
    last = rounds(CREATED)[-1]
    for number in rounds(CREATED):
        with Stage() as stage:
            stage.warm_up()
            bare.append(_bare(stage))
            repository = stage.repository("large", config_maps(OBJECTS))
            mark = stage.cluster.audit_mark()
            start = stage.declare(application("large", repository.url, "app", APPS))
            took.append(stage.wait_well("large", 1, patience=180) - start)
            verbs = calls.by_verb(stage.calls(mark))
            if number == last:
                pushed = _pushes(stage, repository, begun)
    yield Row(
        "create_2000",
        f"application of {OBJECTS} ConfigMaps created, to Synced and Healthy",
        (
            Measure("time", median(took), "s", 10.0),
            Measure("time / bare loop", median(map(ratio, took, bare))),
        ),
        runs=len(took),
        calls=verbs,
        limit={"32 parallel applies, s": median(bare)},
        details={"seconds": [round(each, 2) for each in took]},
        load=begun,
    )
    if pushed is not None:
        yield pushed


def _bare(stage: Stage) -> float:
    stage.admin.make_namespace("bare")
    seconds = stage.bare.apply_all([config_map(f"map-{index:04}", "1", "bare") for index in range(OBJECTS)])
    stage.quiet(2.0)
    return seconds


def _pushes(stage: Stage, repository: Repository, begun: float) -> Row:
    write, synced, writes, others = [], [], [], []
    verbs: dict[str, int] = {}
    for number in range(PUSHES):
        stage.quiet(2.0)
        first = number * 10
        maps = [config_map(f"map-{index:04}", "2" if index == first else "1") for index in range(first, first + 10)]
        push = repository.push({f"app/part-{number:04}.yaml": text(maps)})
        mark = stage.cluster.audit_mark()
        sent = push.announce()
        done = until(lambda: stage.look.at("large", push.commit), 60, "the push is Synced")  # noqa: B023
        stage.quiet(0.5)
        entries = stage.calls(mark, sent.at)
        write.append((calls.first_write(entries) or float("inf")) - sent.at)
        synced.append(done - sent.at)
        writes.append(len(calls.writes(entries)))
        others.append(len(calls.reads(entries)))
        verbs = calls.by_verb(entries)
    return Row(
        "one_of_2000",
        f"a push changes one of {OBJECTS} objects, webhook to first write and to Synced",
        (
            Measure("first write", median(write), "s", 1.0),
            Measure("Synced", median(synced), "s", 2.0),
            Measure("writes", max(writes), "", 1),
            Measure("other calls", max(others), "", 10),
        ),
        runs=PUSHES,
        calls=verbs,
        details={"first write": [round(each, 3) for each in write], "synced": [round(each, 3) for each in synced]},
        load=begun,
    )
