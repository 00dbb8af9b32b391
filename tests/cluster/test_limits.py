"""The gate in front of an API server."""

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from driftline.adapters.cluster.limits import Gate


@given(most=st.integers(1, 64), signs=st.lists(st.booleans(), max_size=200))
def test_the_limit_stays_between_one_and_the_most(most: int, signs: list[bool]) -> None:
    gate = Gate(most)
    gate._halved = -10.0
    for good in signs:
        before = gate.limit
        if good:
            gate.went_well()
            assert before <= gate.limit <= most
        else:
            gate._halved = -10.0
            gate.overloaded()
            assert 1 <= gate.limit <= before


def test_a_burst_of_refusals_counts_once() -> None:
    gate = Gate(16)
    for _ in range(16):
        gate.overloaded()
    assert gate.limit == 8
    for _ in range(200):
        gate.went_well()
    assert gate.limit == 16


def test_who_finds_no_place_in_time_is_told() -> None:
    gate = Gate(1)
    with gate.hold() as first:
        assert first.admitted
        with gate.hold(patience=0.05) as second:
            assert not second.admitted
        with gate.hold(needed=False, patience=0):
            pass
        first.leave()
        with gate.hold(patience=0.05) as third:
            assert third.admitted
    with gate.hold(patience=0.05) as fourth:
        assert fourth.admitted


def test_a_place_that_becomes_free_is_taken_at_once() -> None:
    gate = Gate(1)
    waited: list[float] = []

    def enter() -> None:
        began = time.monotonic()
        with gate.hold():
            waited.append(time.monotonic() - began)

    with gate.hold():
        thread = threading.Thread(target=enter)
        thread.start()
        time.sleep(0.1)
    thread.join()
    assert 0.05 < waited[0] < 0.5
