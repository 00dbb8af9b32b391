"""Nothing drifted is missed and nothing undrifted is reported, over random histories on a real API server."""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from driftline.drift.compare import compare
from driftline.model.drift import Verdict, VerdictState
from driftline.model.marks import marked
from tests.drift.catalogue import OBJECTS
from tests.drift.edits import edit
from tests.drift.history import MARKS, History, Server
from tests.drift.oracle import Where
from tests.kit.cluster import random_name

EXAMPLES = int(os.environ.get("DRIFTLINE_HISTORIES", "30"))
"""Histories per kind. `DRIFTLINE_HISTORIES=200` looks in new places each time."""

COUNTS: Counter[str] = Counter()
REASONS: set[str] = set()
BEYOND = (VerdictState.REFUSED, VerdictState.UNAPPLICABLE, VerdictState.RECREATE)
"""Verdicts of objects that a hand has made so that no apply is valid."""


@pytest.mark.parametrize("resource", OBJECTS)
@pytest.mark.timeout(600)
@pytest.mark.covers("CMP-02")
@pytest.mark.covers("CMP-09")
def test_drift_is_found_exactly(server: Server, namespace: str, resource: str) -> None:
    """After each act of a history the verdict is what Git and live say."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="DRIFTLINE_HISTORIES" not in os.environ,
        suppress_health_check=list(HealthCheck),
        # A shorter history is found by hand sooner than by asking the server a thousand times.
        phases=(Phase.explicit, Phase.generate),
    )
    @given(st.data())
    def histories(data: st.DataObject) -> None:
        body = {**OBJECTS[resource], "metadata": {**OBJECTS[resource]["metadata"], "name": random_name("h")}}
        history = History(server, resource, namespace, body)
        status, answer = history.apply()
        assert status == 201, answer
        try:
            for _ in range(data.draw(st.integers(1, 5), label="acts")):
                act = edit(history, data)
                note(act)
                COUNTS[act] += 1
                check(history)
            history.repair()
            check(history)
            end = history.dry_verdict(history.live())
            if end.state in BEYOND:
                COUNTS["beyond an apply"] += 1
                REASONS.add(end.reason[:200])
            else:
                assert end.in_sync, end
        finally:
            server.call("DELETE", history.target())

    histories()


def check(history: History) -> Verdict:
    """The product's verdict on the object as it is, held against the oracle's."""
    live = history.live()
    where = history.drift(live)
    local = compare(history.desired, live, history.context)
    verdict = history.verdict(live)
    COUNTS[f"= {verdict.state}"] += 1
    COUNTS["dry runs"] += local.state is VerdictState.SUSPECT
    COUNTS["needless dry runs"] += local.state is VerdictState.SUSPECT and verdict.in_sync
    clean = not where and marked(live, MARKS)
    assert verdict.in_sync == clean, f"{verdict}\noracle: {sorted(where)}"
    if verdict.state is VerdictState.DRIFTED:
        assert_same_places(verdict, where)
    return verdict


def assert_same_places(verdict: Verdict, where: set[Where]) -> None:
    """Each reported field lies at, above or below a drifted place, and each drifted place is reported."""
    reported = {tuple(_word(element) for element in field.elements) for field in (*verdict.fields, *verdict.leftovers)}
    oracle = {tuple(part if part[:1] != "(" else "item" for part in place) for place in where}
    for one, others in ((reported, oracle), (oracle, reported)):
        lost = {path for path in one if not any(_related(path, other) for other in others)}
        assert not lost, f"{sorted(lost)} not among {sorted(others)}"


def _word(element: str) -> str:
    return element[2:] if element.startswith("f:") else "item"


def _related(one: Where, other: Where) -> bool:
    short = min(len(one), len(other))
    return one[:short] == other[:short]


def test_the_histories_went_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    """Prints what was done and seen; each kind of act and each verdict must have come up."""
    if not COUNTS:
        pytest.skip("no history was run")
    with capsys.disabled():
        print("\n" + ", ".join(f"{name}: {count}" for name, count in sorted(COUNTS.items())))
        print("\n".join(sorted(REASONS)))
    assert {"= synced", "= claim", "= drifted", "= unmarked"} <= COUNTS.keys()
