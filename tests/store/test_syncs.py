"""Syncs: one open per application, steps saved under the lease, stopped and approved by people."""

from datetime import UTC, datetime, timedelta

import pytest

from driftline.adapters.store import jobs, syncs
from driftline.adapters.store.declarations import Declaration, declare
from driftline.adapters.store.engine import Store
from driftline.adapters.store.jobs import Job, LeaseLost, Request
from driftline.model.sync import OperationPhase
from tests.kit.databases import count_statements

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LEASE = timedelta(seconds=30)


@pytest.fixture
def shop(store: Store) -> int:
    """The id of an application."""
    return store.transact(lambda db: declare(db, Declaration("shop", {}))).ids["shop"]


def begin(store: Store, application_id: int) -> int:
    number = store.transact(lambda db: syncs.create(db, application_id, "git", revisions=["abc"], automated=True))
    assert number is not None
    return number


def lease(store: Store, sync_id: int, time: timedelta = LEASE) -> Job:
    number = store.transact(lambda db: jobs.request(db, Request("sync", f"sync:{sync_id}")))
    held = store.transact(lambda db: jobs.claim(db, number, "worker", time))
    assert held is not None
    return held


def test_an_application_has_one_open_sync(store: Store, shop: int) -> None:
    first = begin(store, shop)
    assert store.transact(lambda db: syncs.create(db, shop, "manual")) is None
    held = lease(store, first)
    store.transact(lambda db: syncs.save_step(db, held, first, phase=OperationPhase.SUCCEEDED, finished_at=NOW))
    second = begin(store, shop)
    with store.read() as db:
        found = syncs.open_of(db, shop)
        assert found is not None and (found.id, found.revisions, found.automated) == (second, ["abc"], True)
        assert [each.id for each in syncs.of_application(db, shop)] == [second, first]
        assert [each.id for each in syncs.of_application(db, shop, before=second)] == [first]
        assert set(syncs.open_of_many(db, [shop, 99])) == {shop}
        assert [each.id for each in syncs.recent(db, only_open=True)] == [second]


def test_a_sync_begins_with_its_plan_in_one_statement_if_nobody_was_faster(store: Store, shop: int) -> None:
    held = lease(store, shop)
    with count_statements(store.engine) as seen:
        number = store.transact(
            lambda db: syncs.begin(db, held, shop, "git", plan=b"sealed", plan_digest="d", message="m")
        )
    assert number is not None and len(seen) == 1
    with store.read() as db:
        found = syncs.get(db, number)
    assert found is not None
    assert (found.plan, found.plan_digest, found.stage, found.job_id, found.fence) == (b"sealed", "d", "", held.id, 1)
    assert store.transact(lambda db: syncs.begin(db, held, shop, "git", plan=b"another")) is None


def test_a_stale_worker_begins_no_sync(store: Store, shop: int) -> None:
    held = lease(store, shop, timedelta(seconds=-1))
    assert store.transact(lambda db: jobs.claim(db, held.id, "another", LEASE)) is not None
    with pytest.raises(LeaseLost):
        store.transact(lambda db: syncs.begin(db, held, shop, "git", plan=b"sealed"))
    with store.read() as db:
        assert syncs.open_of(db, shop) is None


def test_a_step_is_saved_whole_in_one_statement(store: Store, shop: int) -> None:
    number = begin(store, shop)
    held = lease(store, number)
    with count_statements(store.engine) as seen:
        store.transact(
            lambda db: syncs.save_step(
                db, held, number, stage="waiting", wave=2, waiting={"until": NOW}, plan=b"sealed", deadline=NOW
            )
        )
    assert len(seen) == 1
    with store.read() as db:
        row = syncs.get(db, number)
    assert row is not None
    assert (row.stage, row.wave, row.plan, row.deadline) == ("waiting", 2, b"sealed", NOW)
    assert row.waiting == {"until": "2026-01-02T00:00:00+00:00"}


def test_a_stale_worker_saves_no_step(store: Store, shop: int) -> None:
    number = begin(store, shop)
    stale = lease(store, number, timedelta(seconds=-1))
    fresh = lease(store, number)
    with pytest.raises(LeaseLost):
        store.transact(lambda db: syncs.save_step(db, stale, number, wave=9))
    store.transact(lambda db: syncs.save_step(db, fresh, number, wave=1))
    with store.read() as db:
        row = syncs.get(db, number)
        assert row is not None and (row.wave, row.fence) == (1, fresh.fence)
        assert syncs.interrupts(db, stale, number).lease_lost
        assert not syncs.interrupts(db, fresh, number).any


def test_a_later_job_may_save_and_an_earlier_one_never_again(store: Store, shop: int) -> None:
    number = begin(store, shop)
    first = lease(store, number)
    store.transact(lambda db: syncs.save_step(db, first, number, wave=1))
    store.transact(lambda db: jobs.finish(db, first))
    second = lease(store, number)
    store.transact(lambda db: syncs.save_step(db, second, number, wave=2))
    with pytest.raises(LeaseLost):
        store.transact(lambda db: syncs.save_step(db, first, number, wave=1))


def test_what_stops_a_sync_is_one_select(store: Store, shop: int) -> None:
    number = begin(store, shop)
    held = lease(store, number)
    assert store.transact(lambda db: syncs.request_terminate(db, shop)) == number
    store.transact(lambda db: syncs.supersede(db, {shop: "def456"}))
    lease_again = store.transact(lambda db: jobs.request(db, Request("sync", f"sync:{number}")))
    assert lease_again == held.id
    with count_statements(store.engine) as seen, store.read() as db:
        found = syncs.interrupts(db, held, number)
    assert len(seen) == 1
    assert (found.lease_lost, found.terminate, found.superseded_by, found.asked_again) == (False, True, "def456", True)
    store.transact(lambda db: syncs.save_step(db, held, number, phase=OperationPhase.FAILED, finished_at=NOW))
    assert store.transact(lambda db: syncs.request_terminate(db, shop)) is None


def test_an_approval_is_for_the_plan_that_was_shown(store: Store, shop: int) -> None:
    number = begin(store, shop)
    held = lease(store, number)
    store.transact(lambda db: syncs.save_step(db, held, number, phase=OperationPhase.HELD, plan_digest="k:1"))
    yes = {"by": "anna", "keys": ["/Namespace//shop"]}
    assert not store.transact(lambda db: syncs.approve(db, number, "k:0", yes))
    assert store.transact(lambda db: syncs.approve(db, number, "k:1", yes))
    with store.read() as db:
        row = syncs.get(db, number)
    assert row is not None and row.approved == yes


def test_old_syncs_are_forgotten_open_ones_are_not(store: Store, shop: int) -> None:
    number = begin(store, shop)
    held = lease(store, number)
    store.transact(lambda db: syncs.save_step(db, held, number, phase=OperationPhase.ERROR, finished_at=NOW))
    begin(store, shop)
    assert store.transact(lambda db: syncs.prune(db, NOW + timedelta(days=1))) == 1
