"""Jobs: no request is lost, one worker at a time, a stale one writes nothing, a poisonous one is put aside."""

import multiprocessing
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from sqlalchemy import Connection, update

from driftline.adapters.store import jobs
from driftline.adapters.store.columns import now
from driftline.adapters.store.engine import Store
from driftline.adapters.store.jobs import Job, JobState, LeaseLost, Queue, Request
from driftline.adapters.store.tables import job
from driftline.model.errors import Temporary
from tests.kit.databases import count_statements

T = TypeVar("T")

LEASE = timedelta(seconds=30)
OVER = timedelta(seconds=-1)
FETCH = Request("fetch", "repository:1")


def do(store: Store, unit: Callable[[Connection], T]) -> T:
    return store.transact(unit)


def ask(store: Store, wish: Request = FETCH) -> int:
    return do(store, lambda db: jobs.request(db, wish))


def claim(store: Store, job_id: int, lease: timedelta = LEASE) -> Job:
    found = do(store, lambda db: jobs.claim(db, job_id, "worker", lease))
    assert found is not None
    return found


def now_of(store: Store, job_id: int) -> Job:
    with store.read() as db:
        found = jobs.get(db, job_id)
    assert found is not None
    return found


def test_a_job_is_asked_for_done_and_over(store: Store) -> None:
    held = claim(store, ask(store, Request("fetch", "repository:1", payload={"ref": "refs/heads/main"})))
    assert held.payload == {"ref": "refs/heads/main"}
    assert do(store, lambda db: jobs.finish(db, held)) is JobState.DONE
    assert do(store, lambda db: jobs.claim(db, held.id, "worker", LEASE)) is None
    assert ask(store) != held.id


def test_requests_for_a_waiting_job_fold_into_it(store: Store) -> None:
    assert len({ask(store) for _ in range(5)}) == 1
    held = claim(store, ask(store))
    assert held.wanted == 6
    assert do(store, lambda db: jobs.finish(db, held)) is JobState.DONE


def test_a_push_during_the_lease_runs_the_job_again(store: Store) -> None:
    held = claim(store, ask(store))
    assert ask(store) == held.id
    assert do(store, lambda db: jobs.finish(db, held)) is JobState.QUEUED
    again = claim(store, held.id)
    assert again.fence > held.fence
    assert do(store, lambda db: jobs.finish(db, again)) is JobState.DONE


def test_a_held_job_is_not_given_twice(store: Store) -> None:
    held = claim(store, ask(store))
    assert do(store, lambda db: jobs.claim(db, held.id, "other", LEASE)) is None
    assert do(store, lambda db: jobs.claim_due(db, Queue.FAST, "other", LEASE)) == []


def test_a_stale_worker_cannot_write_anything(store: Store) -> None:
    stale = claim(store, ask(store), OVER)
    fresh = claim(store, stale.id)
    with store.read() as db:
        assert (jobs.holds(db, stale), jobs.holds(db, fresh)) == (False, True)
    attempts: list[Callable[[Connection], object]] = [
        lambda db: jobs.finish(db, stale),
        lambda db: jobs.finish(db, stale, datetime.now(UTC)),
        lambda db: jobs.fail(db, stale, "boom", LEASE),
        lambda db: jobs.renew(db, stale, LEASE),
        lambda db: jobs.guard(db, stale),
    ]
    for attempt in attempts:
        with pytest.raises(LeaseLost, match="fetch repository:1"):
            do(store, attempt)
    assert issubclass(LeaseLost, Temporary)
    assert do(store, lambda db: jobs.finish(db, fresh)) is JobState.DONE


def test_a_stale_workers_other_writes_are_undone_with_it(store: Store) -> None:
    stale = claim(store, ask(store), OVER)
    claim(store, stale.id)

    def unit(db: Connection) -> None:
        jobs.request(db, Request("sync", "app:shop"))
        jobs.guard(db, stale)

    with pytest.raises(LeaseLost):
        do(store, unit)
    with store.read() as db:
        assert jobs.open_jobs(db, "sync", ["app:shop"]) == {}


def test_a_late_worker_whose_job_nobody_took_may_still_end_it(store: Store) -> None:
    late = claim(store, ask(store), OVER)
    assert do(store, lambda db: jobs.finish(db, late)) is JobState.DONE


def test_coming_back_later_is_no_end(store: Store) -> None:
    held = claim(store, ask(store))
    later = datetime.now(UTC) + timedelta(minutes=5)
    assert do(store, lambda db: jobs.finish(db, held, later)) is JobState.QUEUED
    assert abs(now_of(store, held.id).run_at - later) < timedelta(milliseconds=1)
    assert do(store, lambda db: jobs.claim(db, held.id, "worker", LEASE)) is None
    # A push does not wait for the agreed time.
    assert ask(store) == held.id
    assert claim(store, held.id).wanted == 2


def test_waiting_is_measured_by_the_databases_clock(store: Store) -> None:
    held = claim(store, ask(store))
    assert do(store, lambda db: jobs.finish(db, held, timedelta(hours=1))) is JobState.QUEUED
    delayed = ask(store, Request("check", "app:shop", delay=timedelta(hours=2)))
    with store.read() as db:
        clock = now(db)
    waits = [now_of(store, number).run_at - clock for number in (held.id, delayed)]
    assert [round(wait.total_seconds() / 360) for wait in waits] == [10, 20]


def test_a_push_during_the_lease_beats_the_time_to_come_back(store: Store) -> None:
    held = claim(store, ask(store))
    ask(store)
    do(store, lambda db: jobs.finish(db, held, datetime.now(UTC) + timedelta(hours=1)))
    claim(store, held.id)


def test_a_wish_for_later_does_not_hurry_or_delay(store: Store) -> None:
    soon, late = (datetime.now(UTC) + timedelta(minutes=minutes) for minutes in (5, 60))
    number = ask(store, Request("check", "app:shop", Queue.SCAN, run_at=soon))
    ask(store, Request("check", "app:shop", Queue.SCAN, run_at=late))
    assert abs(now_of(store, number).run_at - soon) < timedelta(milliseconds=1)
    ask(store, Request("check", "app:shop", Queue.FAST))
    held = claim(store, number)
    assert held.queue == Queue.FAST
    ask(store, Request("check", "app:shop", Queue.SCAN, run_at=late))
    ask(store, Request("check", "app:shop", Queue.SCAN, run_at=soon))
    do(store, lambda db: jobs.finish(db, held))
    assert abs(now_of(store, number).run_at - soon) < timedelta(milliseconds=1)
    assert now_of(store, number).queue == Queue.FAST


def test_failures_are_counted_until_the_job_is_put_aside(store: Store) -> None:
    number = ask(store)
    states = []
    for _ in range(jobs.MAX_ATTEMPTS):
        held = claim(store, number)
        states.append(do(store, lambda db, held=held: jobs.fail(db, held, "host does not answer", timedelta(0))))  # type: ignore[misc]
    assert states == [JobState.QUEUED] * 4 + [JobState.QUARANTINED]
    with store.read() as db:
        assert [(each.id, each.error) for each in jobs.quarantined(db)] == [(number, "host does not answer")]
    # The next push gets its own try, and a success takes the old one off the list.
    other = claim(store, ask(store))
    do(store, lambda db: jobs.finish(db, other))
    with store.read() as db:
        assert jobs.quarantined(db) == []


def test_a_success_between_failures_counts_from_zero(store: Store) -> None:
    number = ask(store)
    for _ in range(2 * jobs.MAX_ATTEMPTS):
        held = claim(store, number)
        do(store, lambda db, held=held: jobs.fail(db, held, "x", timedelta(0)))  # type: ignore[misc]
        held = claim(store, number)
        do(store, lambda db, held=held: jobs.finish(db, held, timedelta(0)))  # type: ignore[misc]
    assert now_of(store, number).state == JobState.QUEUED


def test_a_failed_job_waits_but_a_push_does_not(store: Store) -> None:
    held = claim(store, ask(store))
    assert do(store, lambda db: jobs.fail(db, held, "429", timedelta(minutes=1))) is JobState.QUEUED
    assert do(store, lambda db: jobs.claim(db, held.id, "worker", LEASE)) is None
    held = claim(store, ask(store))
    ask(store)
    assert do(store, lambda db: jobs.fail(db, held, "429", timedelta(minutes=1), max_attempts=1)) is JobState.QUEUED
    assert claim(store, held.id).attempts == 0


def test_a_person_can_try_a_quarantined_job_again(store: Store) -> None:
    held = claim(store, ask(store))
    do(store, lambda db: jobs.fail(db, held, "x", LEASE, max_attempts=1))
    again = do(store, lambda db: jobs.retry(db, held.id))
    assert again is not None and claim(store, again).subject == held.subject
    assert do(store, lambda db: jobs.retry(db, held.id)) is None


def test_a_job_that_kills_its_workers_is_put_aside(store: Store) -> None:
    number = ask(store)
    rounds = 0
    while now_of(store, number).state == JobState.QUEUED:
        do(store, lambda db: db.execute(update(job).values(run_at=datetime.fromtimestamp(0, UTC))))
        claim(store, number, OVER)
        taken = do(store, jobs.takeover)
        rounds += 1
    assert rounds == jobs.MAX_ATTEMPTS
    assert [(each.state, each.attempts) for each in taken] == [(JobState.QUARANTINED, jobs.MAX_ATTEMPTS)]
    assert "worker stopped" in taken[0].error
    assert do(store, jobs.takeover) == []


def test_claiming_an_abandoned_job_counts_too_and_leaves_the_last_to_the_takeover(store: Store) -> None:
    number = ask(store)
    for _ in range(jobs.MAX_ATTEMPTS):
        assert claim(store, number, OVER)
    assert do(store, lambda db: jobs.claim(db, number, "worker", LEASE)) is None
    assert [each.state for each in do(store, jobs.takeover)] == [JobState.QUARANTINED]


def test_a_running_job_is_not_taken_over(store: Store) -> None:
    held = claim(store, ask(store), timedelta(milliseconds=1))
    do(store, lambda db: jobs.renew(db, held, LEASE))
    assert do(store, jobs.takeover) == []


def test_what_is_due_for_a_message(store: Store) -> None:
    waiting, running, abandoned, later = (ask(store, Request("fetch", str(number))) for number in range(4))
    claim(store, running)
    claim(store, abandoned, OVER)
    do(
        store,
        lambda db: db.execute(update(job).where(job.c.id == later).values(run_at=datetime(2099, 1, 1, tzinfo=UTC))),
    )
    with store.read() as db:
        assert {each.id for each in jobs.due(db)} == {waiting, abandoned}
        assert 0 <= jobs.oldest_due_age(db)["fast"].total_seconds() < 30
        assert jobs.counts(db) == {("fast", "queued"): 2, ("fast", "leased"): 2}


def test_due_jobs_of_a_queue_are_taken_oldest_first_ten_at_a_time(store: Store) -> None:
    for number in range(15):
        at = datetime.fromtimestamp(1000 - number, UTC)
        ask(store, Request("check", str(number), Queue.SCAN, run_at=at))
    ask(store)
    first = do(store, lambda db: jobs.claim_due(db, Queue.SCAN, "worker", LEASE))
    rest = do(store, lambda db: jobs.claim_due(db, Queue.SCAN, "worker", LEASE))
    assert [each.subject for each in first + rest] == [str(number) for number in range(14, -1, -1)]
    assert len(first) == 10


def test_asking_for_many_is_one_statement(store: Store) -> None:
    wishes = [Request("sync", f"app:{number:03}") for number in range(200)]
    ask(store, wishes[7])
    with count_statements(store.engine) as seen:
        ids = do(store, lambda db: jobs.request_many(db, [*wishes, wishes[7]]))
    assert len(seen) == 1
    assert ids[7] == ids[200]
    assert len(set(ids)) == 200
    with store.read() as db:
        found = jobs.open_jobs(db, "sync", [wish.subject for wish in wishes])
    assert [found[wish.subject].id for wish in wishes] == list(ids[:200])


def test_old_jobs_are_forgotten_open_ones_are_not(store: Store) -> None:
    held = claim(store, ask(store))
    do(store, lambda db: jobs.finish(db, held))
    ask(store)
    assert do(store, lambda db: jobs.prune(db, datetime(2099, 1, 1, tzinfo=UTC))) == 1


def test_sixteen_threads_asking_and_working_lose_nothing(store: Store) -> None:
    """Each request is followed by a run that began after it."""
    asked: Counter[int] = Counter()
    ran: Counter[int] = Counter()

    def work(worker: int) -> None:
        for turn in range(10):
            subject = (worker + turn) % 3
            ask(store, Request("fetch", str(subject)))
            asked[subject] += 1
            for held in do(store, lambda db: jobs.claim_due(db, Queue.FAST, f"w{worker}", LEASE)):
                ran[int(held.subject)] += 1
                do(store, lambda db, held=held: jobs.finish(db, held))  # type: ignore[misc]

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(16)))
    with store.read() as db:
        left = jobs.due(db)
    for each in left:
        held = claim(store, each.id)
        assert do(store, lambda db, held=held: jobs.finish(db, held)) is JobState.DONE  # type: ignore[misc]
    with store.read() as db:
        assert jobs.counts(db) == {}
    assert sum(asked.values()) == 160


def _hammer(url: str, owner: str, results: "multiprocessing.Queue[list[tuple[int, int]]]") -> None:
    store = Store(url)
    got: list[tuple[int, int]] = []
    while batch := store.transact(lambda db: jobs.claim_due(db, Queue.FAST, owner, LEASE, limit=3)):
        got += [(held.id, held.fence) for held in batch]
    results.put(got)
    store.dispose()


def test_two_processes_never_share_a_lease(store: Store) -> None:
    do(store, lambda db: jobs.request_many(db, [Request("fetch", str(number)) for number in range(150)]))
    fork = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[list[tuple[int, int]]] = fork.Queue()
    url = store.url.render_as_string(hide_password=False)
    workers = [fork.Process(target=_hammer, args=(url, f"p{number}", results)) for number in range(2)]
    for worker in workers:
        worker.start()
    got = [each for _ in workers for each in results.get(timeout=60)]
    for worker in workers:
        worker.join(timeout=20)
    assert len(got) == len({job_id for job_id, _ in got}) == 150
    assert {fence for _, fence in got} == {1}
