"""Many writes at once, with a look between them."""

import threading
import time
from functools import partial

import pytest

from driftline.adapters.cluster.cluster import Cluster
from driftline.adapters.cluster.parallel import WIDTH, run_all
from driftline.model.errors import Failure, Permanent
from tests.cluster.shapes import CONFIG_MAPS, config_map


def test_results_stand_where_their_calls_stood_and_one_failure_stops_nobody(cluster: Cluster, namespace: str) -> None:
    names = [f"c{number}" if number != 7 else "_" for number in range(40)]
    calls = [partial(cluster.apply, CONFIG_MAPS, config_map(namespace, name)) for name in names]
    results = run_all(calls, lambda: True)
    for name, result in zip(names, results, strict=True):
        if name == "_":
            assert isinstance(result, Failure)
        else:
            assert result is not None and not isinstance(result, Failure)
            assert result.body["metadata"]["name"] == name


def test_nothing_starts_after_a_no_and_what_runs_is_waited_for() -> None:
    begun: list[int] = []
    looks: list[int] = []

    def write(number: int) -> int:
        begun.append(number)
        time.sleep(0.01)
        return number

    def may_go_on() -> bool:
        looks.append(len(begun))
        return len(looks) <= 2

    results = run_all([partial(write, number) for number in range(100)], may_go_on)
    assert results == [*range(2 * WIDTH), *([None] * (100 - 2 * WIDTH))]
    assert looks[0] == 0 and looks[1] <= WIDTH  # never more than 16 writes without a look
    assert run_all([lambda: 1], lambda: False) == [None]


def test_at_most_sixteen_at_once() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def write() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.005)
        with lock:
            now -= 1

    run_all([write] * 100, lambda: True)
    assert most == WIDTH


def test_a_bug_is_not_taken_for_a_result() -> None:
    done: list[int] = []

    def broken() -> int:
        raise ZeroDivisionError

    def refused() -> int:
        raise Permanent("no")

    def fine() -> int:
        done.append(1)
        return 1

    with pytest.raises(ZeroDivisionError):
        run_all([broken, refused, fine], lambda: True)
    assert done == [1]
