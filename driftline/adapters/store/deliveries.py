"""What Git hosts told us: one row per delivery, saved together with the jobs that it asks for. Called by flow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from secrets import token_hex

from sqlalchemy import Connection, Insert, delete, func, select

from driftline.adapters.store import jobs
from driftline.adapters.store.columns import Shape, db_now, insert
from driftline.adapters.store.tables.work import delivery
from driftline.model.push import Push

FETCH = "fetch"
"""The job that a push asks for; its subject is `fetch_subject`."""


class Outcome(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    IGNORED = "ignored"
    """An event that changes no ref, or one that we do not follow."""
    UNKNOWN_REPOSITORY = "unknown repository"


@dataclass(frozen=True)
class Delivery:
    """A row. `repeats` counts identical deliveries that came after the first."""

    id: int
    provider: str
    hook: str
    delivery_id: str
    event: str
    repo_url: str
    ref: str
    outcome: str
    message: str
    repeats: int
    received_at: datetime


@dataclass(frozen=True)
class Receipt:
    """What to answer, with the jobs that the delivery asks for.

    Workers are to be told of `wake`, some of those, once the transaction is committed: a burst costs a message or two.
    """

    new: bool
    outcome: Outcome
    job_ids: tuple[int, ...] = ()
    wake: tuple[int, ...] = ()


SHAPE = Shape(Delivery, delivery)


def fetch_subject(repository_id: int) -> str:
    """The subject of the fetch job of a repository."""
    return f"repository:{repository_id}"


def receive(db: Connection, push: Push, hook: str, repository_ids: Sequence[int]) -> Receipt:
    """Save a delivery and ask for a fetch of each repository it is about, in two statements.

    The same delivery again (by provider, hook and delivery id) asks for nothing. A host that gives no id gets a new one
    each time.
    """
    outcome = _outcome(push, repository_ids)
    row = {
        "provider": push.provider,
        "hook": hook,
        "delivery_id": push.delivery_id or token_hex(16),
        "event": push.event,
        "repo_url": push.repo_urls[0] if push.repo_urls else "",
        "ref": " ".join(change.ref for change in push.changes)[:1000],
        "outcome": outcome,
        "message": push.ignored,
    }
    if db.execute(_receiving(db.dialect.name), row).scalar_one() > 0:
        return Receipt(False, outcome)
    if outcome is not Outcome.ACCEPTED:
        return Receipt(True, outcome)
    wishes = [jobs.Request(FETCH, fetch_subject(number), jobs.Queue.FAST) for number in repository_ids]
    asked = jobs.ask_many(db, wishes)
    return Receipt(True, outcome, tuple(each.id for each in asked), tuple(each.id for each in asked if each.news))


def recent(db: Connection, hook: str = "", limit: int = 50) -> list[Delivery]:
    """The latest deliveries, of one hook or of all, the newest first."""
    query = SHAPE.select().order_by(delivery.c.received_at.desc(), delivery.c.id.desc()).limit(limit)
    return SHAPE.all(db.execute(query.where(delivery.c.hook == hook) if hook else query))


def last_seen(db: Connection) -> dict[str, datetime]:
    """For each hook, when its last delivery came: a host may have switched the hook off."""
    rows = db.execute(select(delivery.c.hook, func.max(delivery.c.received_at)).group_by(delivery.c.hook))
    return dict(rows.all())


def prune_old(db: Connection, before: datetime) -> int:
    """Forget deliveries from before `before`; return how many. Hosts redeliver for days, so keep a week at least."""
    return db.execute(delete(delivery).where(delivery.c.received_at < before)).rowcount


@cache
def _receiving(dialect: str) -> Insert:
    statement = insert(dialect, delivery).values(repeats=0, received_at=db_now())
    statement = statement.on_conflict_do_update(
        index_elements=["provider", "hook", "delivery_id"], set_={"repeats": delivery.c.repeats + 1}
    )
    return statement.returning(delivery.c.repeats)


def _outcome(push: Push, repository_ids: Sequence[int]) -> Outcome:
    if push.ignored or not push.changes:
        return Outcome.IGNORED
    return Outcome.ACCEPTED if repository_ids else Outcome.UNKNOWN_REPOSITORY
