"""The job table against a model of it that fits on a page, over random histories."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test
from sqlalchemy import delete, update

from driftline.adapters.store import jobs
from driftline.adapters.store.engine import Store
from driftline.adapters.store.jobs import Job, JobState, LeaseLost, Request
from driftline.adapters.store.tables import job

LEASE = timedelta(hours=1)
CAP = 3
SUBJECTS = st.sampled_from(["a", "b"])


@dataclass
class Row:
    """What the model knows of one job."""

    subject: str
    state: JobState = JobState.QUEUED
    wanted: int = 1
    attempts: int = 0
    fence: int = 0
    due: bool = True
    expired: bool = False
    asked_due: bool = False
    """A request for now came during the lease."""


class JobMachine(RuleBasedStateMachine):
    """Requests, claims, ends, failures, lost leases and takeovers, in any order."""

    store: Store
    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        with self.store.write() as db:
            db.execute(delete(job))
        self.rows: dict[int, Row] = {}

    @rule(subject=SUBJECTS, later=st.booleans())
    def request(self, subject: str, later: bool) -> None:
        at = datetime.now(UTC) + LEASE if later else None
        number = self.store.transact(lambda db: jobs.request(db, Request("fetch", subject, run_at=at)))
        row = self.open(subject)
        if row is None:
            assert number not in self.rows
            self.rows[number] = Row(subject, due=not later)
            return
        assert self.rows[number] is row
        row.wanted += 1
        if row.state is JobState.QUEUED:
            row.due = row.due or not later
        else:
            row.asked_due = row.asked_due or not later

    @rule(target=held, subject=SUBJECTS)
    def claim(self, subject: str) -> object:
        number = next((number for number, row in self.rows.items() if row is self.open(subject)), 0)
        found = self.store.transact(lambda db: jobs.claim(db, number, "me", LEASE))
        row = self.rows.get(number)
        abandoned = row is not None and row.expired and row.attempts + 1 < jobs.MAX_ATTEMPTS
        free = row is not None and (abandoned or (row.state is JobState.QUEUED and row.due))
        assert (found is not None) == free
        if row is None or found is None:
            return multiple()
        row.attempts += row.expired
        row.state, row.expired, row.asked_due = JobState.LEASED, False, False
        row.fence += 1
        assert (found.fence, found.wanted, found.attempts) == (row.fence, row.wanted, row.attempts)
        return found

    @rule(held=held, back=st.sampled_from([None, "now", "later"]))
    def finish(self, held: Job, back: str | None) -> None:
        at = {None: None, "now": timedelta(0), "later": LEASE}[back]
        if not self.ours(held):
            with pytest.raises(LeaseLost):
                self.store.transact(lambda db: jobs.finish(db, held, at))
            return
        row = self.rows[held.id]
        again = row.wanted > held.wanted
        state = self.store.transact(lambda db: jobs.finish(db, held, at))
        assert state is (JobState.QUEUED if again or back else JobState.DONE)
        row.due = (again and row.asked_due) or back == "now"
        self.release(row, state, attempts=0)

    @rule(held=held, wait=st.booleans())
    def fail(self, held: Job, wait: bool) -> None:
        delay = LEASE if wait else timedelta(0)
        if not self.ours(held):
            with pytest.raises(LeaseLost):
                self.store.transact(lambda db: jobs.fail(db, held, "boom", delay, CAP))
            return
        row = self.rows[held.id]
        again = row.wanted > held.wanted
        spent = row.attempts + 1 >= CAP
        state = self.store.transact(lambda db: jobs.fail(db, held, "boom", delay, CAP))
        assert state is (JobState.QUARANTINED if spent and not again else JobState.QUEUED)
        row.due = row.asked_due if again else not wait
        self.release(row, state, attempts=0 if again else row.attempts + 1)

    @rule(held=held)
    def expire(self, held: Job) -> None:
        if self.ours(held):
            past = datetime.now(UTC) - LEASE
            with self.store.write() as db:
                db.execute(update(job).where(job.c.id == held.id).values(lease_until=past))
            self.rows[held.id].expired = True

    @rule(held=held)
    def renew(self, held: Job) -> None:
        if self.ours(held):
            self.store.transact(lambda db: jobs.renew(db, held, LEASE))
            self.rows[held.id].expired = False

    @rule()
    def takeover(self) -> None:
        taken = self.store.transact(lambda db: jobs.takeover(db, max_attempts=CAP))
        assert {each.id for each in taken} == {number for number, row in self.rows.items() if row.expired}
        for each in taken:
            row = self.rows[each.id]
            spent = row.attempts + 1 >= CAP
            assert each.state == (JobState.QUARANTINED if spent else JobState.QUEUED)
            row.due = row.attempts == 0
            row.fence += 1
            self.release(row, JobState(each.state), attempts=row.attempts + 1)

    @invariant()
    def table_and_model_agree(self) -> None:
        with self.store.read() as db:
            found = {each.id: each for each in jobs.SHAPE.all(db.execute(jobs.SHAPE.select()))}
            waiting = {each.id for each in jobs.due(db)}
        seen = {number: (each.state, each.wanted, each.attempts, each.fence) for number, each in found.items()}
        assert seen == {number: (row.state, row.wanted, row.attempts, row.fence) for number, row in self.rows.items()}
        for number, row in self.rows.items():
            abandoned = row.expired and row.attempts + 1 < jobs.MAX_ATTEMPTS
            assert (number in waiting) == (abandoned or (row.state is JobState.QUEUED and row.due))

    def open(self, subject: str) -> Row | None:
        rows = [row for row in self.rows.values() if row.subject == subject]
        live = [row for row in rows if row.state in (JobState.QUEUED, JobState.LEASED)]
        assert len(live) <= 1
        return live[0] if live else None

    def ours(self, held: Job) -> bool:
        row = self.rows[held.id]
        return row.state is JobState.LEASED and row.fence == held.fence

    def release(self, row: Row, state: JobState, attempts: int) -> None:
        row.state, row.attempts, row.expired, row.asked_due = state, attempts, False, False


@pytest.fixture
def machine_store(request: pytest.FixtureRequest, sqlite_template: Path) -> Iterator[Store]:
    """A SQLite file in memory-backed storage where there is one: thousands of small transactions."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    shutil.copyfile(sqlite_template, folder / "driftline.db")
    store = Store(f"sqlite:///{folder}/driftline.db")
    yield store
    store.dispose()
    shutil.rmtree(folder)


def run(store: Store, examples: int) -> None:
    machine = type("Machine", (JobMachine,), {"store": store})
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=slow),
    )


def test_sqlite_behaves_like_the_model(machine_store: Store) -> None:
    run(machine_store, 25)


@pytest.mark.postgres
def test_postgresql_behaves_like_the_model(postgres_store: Store) -> None:
    run(postgres_store, 10)
