"""Send what the outbox holds. A channel that fails delays its own messages, never a sync."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from driftline.adapters import metrics
from driftline.adapters.notify import send
from driftline.adapters.store import alerts, jobs, outbox
from driftline.adapters.store.jobs import Job, LeaseLost
from driftline.adapters.store.outbox import OutboxRow, OutboxState
from driftline.alerts.outgoing import Folded, fold, next_attempt
from driftline.alerts.rows import decode_outgoing
from driftline.flow.edges import Edges
from driftline.model.errors import Failure, Permanent, Temporary
from driftline.model.scrubbing import scrub

LEASE = timedelta(minutes=2)
"""How long a claimed message stays ours; longer than any channel's timeout."""

BATCH = 50


def run(job: Job, edges: Edges) -> tuple[int, ...]:
    """Send due messages until none is left, then end the job."""
    while True:
        with edges.store.write() as db:
            jobs.renew(db, job, edges.settings.job_lease)
            rows = outbox.claim_due(db, LEASE, BATCH)
        if not rows:
            break
        for group in _by_address(rows):
            _send_all(group, edges)
    with edges.store.write() as db:
        jobs.finish(db, job)
    return ()


def _by_address(rows: Sequence[OutboxRow]) -> list[list[OutboxRow]]:
    groups: dict[tuple[str, str], list[OutboxRow]] = defaultdict(list)
    for row in rows:
        groups[row.channel, row.recipient].append(row)
    return list(groups.values())


def _send_all(rows: Sequence[OutboxRow], edges: Edges) -> None:
    """Send what waits for one address: each message, or one summary of many."""
    by_key = {row.dedupe_key: row for row in rows}
    for folded in fold([decode_outgoing(row.message) for row in rows]):
        replaced = [by_key[key] for key in folded.replaces]
        try:
            thread = send(folded.outgoing, _thread(replaced[0], edges), edges.notify).thread
        except Failure as failure:
            metrics.alert_sent(folded.outgoing.condition, folded.outgoing.channel, False)
            _failed(replaced, failure, edges)
        except Exception as error:
            edges.log.exception("alert not sent", channel=replaced[0].channel)
            edges.report(error)
            _failed(replaced, Temporary(f"{type(error).__name__}: {scrub(str(error))}"), edges)
        else:
            metrics.alert_sent(folded.outgoing.condition, folded.outgoing.channel, True)
            _sent(replaced, folded, thread, edges)


def _thread(row: OutboxRow, edges: Edges) -> str:
    """The thread that an earlier message about the same alert opened at this address."""
    if row.alert_id is None:
        return ""
    with edges.store.read() as db:
        return alerts.thread_of(db, row.alert_id, outbox.thread_key(row.channel, row.recipient))


def _sent(rows: Sequence[OutboxRow], folded: Folded, thread: str, edges: Edges) -> None:
    with edges.store.write() as db:
        for row in rows:
            try:
                outbox.mark_sent(db, row, edges.now(), thread if thread and len(folded.replaces) == 1 else None)
            except LeaseLost:
                # Someone else took it while we were slow: the receiver knows a repeated message by its key.
                continue


def _failed(rows: Sequence[OutboxRow], failure: Failure, edges: Edges) -> None:
    with edges.store.write() as db:
        for row in rows:
            at = next_attempt(row.attempts + 1, failure, edges.now(), row.created_at, row.dedupe_key)
            delay = None if at is None or isinstance(failure, Permanent) else at - edges.now()
            try:
                state = outbox.mark_failed(db, row, failure.message, delay)
            except LeaseLost:
                continue
            if state == OutboxState.DEAD:
                edges.log.error("alert given up", channel=row.channel, recipient=row.recipient, reason=failure.message)
