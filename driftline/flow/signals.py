"""Turn what flow noticed into alerts and outbox rows, inside the transaction that records the cause."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from driftline.adapters.store import alerts, applications, jobs, outbox
from driftline.adapters.store.applications import ApplicationRow
from driftline.adapters.store.jobs import Job
from driftline.adapters.taskqueue import Hint
from driftline.alerts import state
from driftline.alerts.outgoing import Outgoing, messages_for
from driftline.alerts.routing import Routes, Scope, Subscription, parse_recipient, recipients
from driftline.alerts.rows import decode_alert, encode_alert, encode_outgoing
from driftline.alerts.state import AlertChange
from driftline.flow.edges import Edges
from driftline.flow.subjects import NOTIFY_REQUEST, hints
from driftline.formats.yaml import load_documents
from driftline.model.alert import Condition, Edge, Signal
from driftline.model.errors import Permanent
from driftline.model.masking import scrub_value

SUBSCRIPTIONS = "notifications.argoproj.io/subscriptions"


def raise_signals(
    db: Connection, edges: Edges, signals: Sequence[Signal], about: ApplicationRow | None = None
) -> list[Hint]:
    """Record what became of each signal's alert, and queue what people hear of it.

    `about` is the application that they concern, where the caller has it at hand.
    """
    scopes = _Scopes(db, about)
    told = [state.to_root(signal) for signal in signals]
    # A message without an end that nobody subscribed to needs no row: most syncs succeed unheard.
    told = [
        each for each in told if not each.once or recipients(each.condition, scopes.of(each.subject), routes(edges))
    ]
    if not told:
        return []
    known = alerts.remembered(db, {state.slot(signal) for signal in told})
    queued: list[outbox.Outgoing] = []
    for signal in told:
        row = known.get(state.slot(signal))
        open_alert = decode_alert(row.state) if row else None
        for change in state.transition(signal, open_alert, edges.now()):
            row = alerts.remember(db, change.alert.slot, encode_alert(change.alert), _alert_row(db, edges, change, row))
            known[change.alert.slot] = row
            queued += [_row(each, row.id, change) for each in _messages(edges, scopes, signal, change)]
    if not outbox.add_many(db, queued, edges.now()):
        return []
    return hints(jobs.request_many(db, [NOTIFY_REQUEST]), NOTIFY_REQUEST.queue)


def settle(db: Connection, edges: Edges) -> list[Hint]:
    """What time alone changes: flapping alerts that have settled, causes that were held back."""
    queued: list[outbox.Outgoing] = []
    scopes = _Scopes(db)
    unsettled = alerts.unsettled(db)
    wake = raise_signals(db, edges, _jobs_well(db, unsettled))
    for row in unsettled:
        open_alert = decode_alert(row.state)
        for change in state.due(open_alert, edges.now()):
            row = alerts.remember(db, change.alert.slot, encode_alert(change.alert), _alert_row(db, edges, change, row))
            signal = Signal(open_alert.condition, open_alert.subject, change.edge is not Edge.RECOVER)
            queued += [_row(each, row.id, change) for each in _messages(edges, scopes, signal, change)]
    if not outbox.add_many(db, queued, edges.now()):
        return wake
    return [*wake, *hints(jobs.request_many(db, [NOTIFY_REQUEST]), NOTIFY_REQUEST.queue)]


def all_over(db: Connection, edges: Edges, about: ApplicationRow, how: str) -> list[Hint]:
    """End every open alert about an application that is no more, so that a new one of its name starts afresh."""
    subject, facts = f"app:{about.name}", {"application": about.name, "how": how, "gone": True}
    over = [Signal(Condition(row.condition), subject, False, facts=facts) for row in alerts.open_of(db, [subject])]
    return raise_signals(db, edges, over, about)


def quarantined(db: Connection, edges: Edges, job: Job, error: str) -> list[Hint]:
    """A job was put aside: say what it was to do, for whom, and why it failed."""
    facts = {"job": f"{job.kind} {job.subject}", "attempts": job.attempts, "message": error}
    if job.kind == "app":
        row = applications.by_id(db, int(job.subject.rpartition(":")[2]))
        if row is not None:
            facts["application"] = row.name
    return raise_signals(db, edges, [Signal(Condition.JOB_QUARANTINED, _subject(job), True, facts=facts)])


def _subject(job: Job) -> str:
    """One alert for what a job does, however many rows of it were put aside."""
    return f"job:{job.kind} {job.subject}"


def _jobs_well(db: Connection, rows: Sequence[alerts.Remembered]) -> list[Signal]:
    """Alerts about jobs that have succeeded since, or that a person has started again."""
    told = {alert.subject for row in rows if (alert := decode_alert(row.state)).condition is Condition.JOB_QUARANTINED}
    if not told:
        return []
    aside = {_subject(job) for job in jobs.quarantined(db, 1000)}
    return [
        Signal(Condition.JOB_QUARANTINED, subject, False, facts={"job": subject.removeprefix("job:")})
        for subject in sorted(told - aside)
    ]


def _alert_row(db: Connection, edges: Edges, change: AlertChange, known: alerts.Remembered | None) -> int:
    """The row that people see of this alert: one for each time that it began."""
    alert = change.alert
    if change.edge in (Edge.FIRE, Edge.ONCE):
        firing = alerts.Firing(
            alert.subject, str(alert.condition), alert.cause, alert.once, scrub_value(dict(alert.facts))
        )
        return alerts.fire_many(db, [firing], edges.now())[0].id
    if change.edge is Edge.RECOVER and known is not None and known.id:
        alerts.recover_many(db, [known.id], edges.now())
    return known.id if known else 0


class _Scopes:
    """Annotations and labels of the applications that signals are about, read once per transaction."""

    def __init__(self, db: Connection, about: ApplicationRow | None = None) -> None:
        self._db = db
        self._found: dict[str, tuple[Scope, ...]] = {}
        if about is not None:
            self._found[f"app:{about.name}"] = (scope_of(about.document.get("metadata") or {}),)

    def of(self, subject: str) -> tuple[Scope, ...]:
        if subject not in self._found:
            self._found[subject] = self._read(subject)
        return self._found[subject]

    def _read(self, subject: str) -> tuple[Scope, ...]:
        kind, _, name = subject.partition(":")
        if kind == "app":
            row = applications.get(self._db, name)
            documents = [row.document] if row else []
        elif kind == "repository":
            documents = applications.documents_of_url(self._db, name)
        elif kind == "cluster":
            documents = applications.documents_of_cluster(self._db, name)
        else:
            documents = []
        return tuple(scope_of(document.get("metadata") or {}) for document in documents)


def scope_of(metadata: Mapping[str, object]) -> Scope:
    """Who an application's annotations say hears of it. An annotation that cannot be read routes nothing."""
    annotations = metadata.get("annotations")
    labels = metadata.get("labels")
    kept = {str(k): str(v) for k, v in annotations.items()} if isinstance(annotations, dict) else {}
    listed = None
    if SUBSCRIPTIONS in kept:
        try:
            listed = load_documents(kept[SUBSCRIPTIONS].encode(), SUBSCRIPTIONS)[0]
        except (Permanent, IndexError):
            listed = None
    return Scope(kept, {str(k): str(v) for k, v in labels.items()} if isinstance(labels, dict) else {}, listed)


def routes(edges: Edges) -> Routes:
    """The installation's own recipients, from its settings."""
    found = [parse_recipient(word) for word in edges.settings.alert_recipients.split()]
    return Routes(tuple(Subscription(recipient) for recipient in found if recipient))


def link_to(edges: Edges, subject: str) -> str:
    """The page about a subject."""
    base = edges.settings.public_url.rstrip("/")
    kind, _, name = subject.partition(":")
    pages = {"app": f"/applications/{name}", "repository": "/repositories", "cluster": "/clusters", "job": "/jobs"}
    return base + pages.get(kind, "/")


def _messages(edges: Edges, scopes: _Scopes, signal: Signal, change: AlertChange) -> tuple[Outgoing, ...]:
    if change.edge is None or not change.told:
        return ()
    who = recipients(change.alert.condition, scopes.of(change.alert.subject), routes(edges))
    return messages_for(change, who, scrub_value(dict(signal.facts)), link_to(edges, change.alert.subject))


def _row(outgoing: Outgoing, alert_id: int, change: AlertChange) -> outbox.Outgoing:
    assert change.edge is not None
    return outbox.Outgoing(
        outgoing.channel,
        outgoing.address,
        change.edge,
        encode_outgoing(outgoing),
        outgoing.dedupe_key,
        alert_id or None,
    )
