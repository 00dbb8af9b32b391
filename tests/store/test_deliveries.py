"""Intake: one row per delivery, its jobs with it, duplicates and repeats harmless; ticks start once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from driftline.adapters.store import deliveries, jobs, ticks
from driftline.adapters.store.deliveries import FETCH, Outcome, fetch_subject
from driftline.adapters.store.engine import Store
from driftline.model.push import Push, RefAction, RefChange
from tests.kit.databases import count_statements

PUSH = Push(
    provider="github",
    event="push",
    delivery_id="72d3162e",
    repo_urls=("https://example.org/shop.git",),
    changes=(RefChange("refs/heads/main", RefAction.UPDATED),),
)

LEASE = timedelta(seconds=60)


def test_a_delivery_and_its_jobs_are_two_statements(store: Store) -> None:
    with count_statements(store.engine) as seen:
        receipt = store.transact(lambda db: deliveries.receive(db, PUSH, "hook", [1, 2]))
    assert (len(seen), seen.transactions) == (2, 1)
    assert receipt.new and receipt.outcome is Outcome.ACCEPTED
    with store.read() as db:
        found = jobs.open_jobs(db, FETCH, [fetch_subject(1), fetch_subject(2)])
        assert {each.id for each in found.values()} == set(receipt.job_ids)
        assert [(each.ref, each.repeats) for each in deliveries.recent(db)] == [("refs/heads/main", 0)]


@pytest.mark.covers("WH-07")
def test_the_same_delivery_fifty_times_at_once_is_one(store: Store) -> None:
    with ThreadPoolExecutor(16) as threads:
        receipts = list(
            threads.map(lambda _: store.transact(lambda db: deliveries.receive(db, PUSH, "hook", [1])), range(50))
        )
    assert sum(each.new for each in receipts) == 1
    assert sum(len(each.job_ids) for each in receipts) == 1
    with store.read() as db:
        rows = deliveries.recent(db)
        assert [row.repeats for row in rows] == [49]
        held = jobs.get(db, next(each.job_ids[0] for each in receipts if each.new))
    assert held is not None and held.wanted == 1


def test_a_burst_tells_the_workers_once_until_one_of_them_has_looked(store: Store) -> None:
    def push(number: int) -> int:
        return len(
            store.transact(lambda db: deliveries.receive(db, replace(PUSH, delivery_id=str(number)), "", [1])).wake
        )

    # The first two, and those of the same millisecond as the second: SQLite's clock is no finer.
    assert 1 <= sum(push(number) for number in range(20)) < 10
    with store.read() as db:
        (waiting,) = jobs.open_jobs(db, FETCH, [fetch_subject(1)]).values()
    held = store.transact(lambda db: jobs.claim(db, waiting.id, "worker", LEASE))
    assert held is not None and held.wanted == 20
    assert sum(push(number) for number in range(20, 30)) == 0, "who runs it looks again"
    assert store.transact(lambda db: jobs.finish(db, held)) == "queued"
    assert push(30) == 1, "nobody is known to look"


def test_a_push_wakes_a_worker_for_a_fetch_that_was_to_wait(store: Store) -> None:
    later = datetime(2099, 1, 1, tzinfo=UTC)
    store.transact(lambda db: jobs.request(db, jobs.Request(FETCH, fetch_subject(1), run_at=later)))
    assert store.transact(lambda db: deliveries.receive(db, PUSH, "", [1])).wake


def test_a_push_wakes_a_fast_worker_for_a_fetch_that_waits_for_a_slow_one(store: Store) -> None:
    poll = jobs.Request(FETCH, fetch_subject(1), jobs.Queue.SCAN)
    for _ in range(3):
        store.transact(lambda db: jobs.request(db, poll))
    assert store.transact(lambda db: deliveries.receive(db, PUSH, "", [1])).wake


def test_what_is_ignored_is_remembered_with_the_reason(store: Store) -> None:
    ping = replace(PUSH, event="ping", changes=(), ignored="a ping changes no ref", delivery_id="1")
    stranger = replace(PUSH, delivery_id="2")
    assert store.transact(lambda db: deliveries.receive(db, ping, "hook", [1])).outcome is Outcome.IGNORED
    assert store.transact(lambda db: deliveries.receive(db, stranger, "hook", [])).outcome is Outcome.UNKNOWN_REPOSITORY
    with store.read() as db:
        rows = deliveries.recent(db, "hook")
        assert [row.outcome for row in rows] == ["unknown repository", "ignored"]
        assert rows[1].message == "a ping changes no ref"
        assert jobs.due(db) == []


def test_hosts_without_delivery_ids_are_never_duplicates(store: Store) -> None:
    plain = replace(PUSH, delivery_id="")
    receipts = [store.transact(lambda db: deliveries.receive(db, plain, "hook", [1])) for _ in range(3)]
    assert [each.new for each in receipts] == [True] * 3
    assert len({each.job_ids for each in receipts}) == 1


def test_the_same_id_from_another_hook_is_another_delivery(store: Store) -> None:
    for hook in ("shop", "bank"):
        assert store.transact(lambda db, hook=hook: deliveries.receive(db, PUSH, hook, [1])).new  # type: ignore[misc]
    with store.read() as db:
        assert set(deliveries.last_seen(db)) == {"shop", "bank"}
    assert store.transact(lambda db: deliveries.prune_old(db, datetime(2099, 1, 1, tzinfo=UTC))) == 2


def test_a_failed_intake_leaves_neither_row_nor_job(store: Store) -> None:
    def breaks(db: object) -> None:
        deliveries.receive(db, PUSH, "hook", [1])  # type: ignore[arg-type]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.transact(breaks)
    assert store.transact(lambda db: deliveries.receive(db, PUSH, "hook", [1])).new


def test_a_slot_is_taken_once_by_whoever_comes_first(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: store.transact(lambda db: ticks.take(db, "drift", 42)), range(24)))
    assert sum(taken) == 1
    assert store.transact(lambda db: ticks.take(db, "drift", 43))
    assert store.transact(lambda db: ticks.take(db, "polling", 42))
    with store.read() as db:
        assert ticks.last(db, "drift") is not None
        assert ticks.last(db, "never") is None
    assert store.transact(lambda db: ticks.prune(db, datetime(2099, 1, 1, tzinfo=UTC))) == 3
