"""What happened and what waits, beyond single applications: alerts, deliveries, jobs; and the settings in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from flask import Response, abort, redirect, request, url_for
from sqlalchemy import Connection

from driftline.adapters.settings import documented, is_secret
from driftline.adapters.store import alerts, applications, audit, deliveries, jobs, outbox, ticks
from driftline.adapters.store.jobs import Job
from driftline.flow import registry
from driftline.flow.subjects import APP, NOTIFY_REQUEST, hints
from service.auth.guard import current_user
from service.ui.page import PAGE, here, may_system, need_system, number_argument, page

SILENT = timedelta(hours=24)
"""After which a page asks whether the Git host still sends its webhooks."""


@dataclass(frozen=True)
class Setting:
    """One setting with its value for people."""

    variable: str
    value: str
    default: str
    text: str
    section: str

    @property
    def changed(self) -> bool:
        return self.value != self.default


def show_alerts() -> Response:
    """What people are being told of now, what they were told, and what could not be delivered."""
    need_system()
    before = number_argument("before")
    with here().store.read() as db:
        current = alerts.page(db, only_open=True)
        seen = alerts.page(db, before=before, limit=PAGE)
        given_up = outbox.dead(db)
    return page(
        "alerts.html",
        current=current,
        ended=[each for each in seen if each.recovered_at is not None],
        older=seen[-1].id if len(seen) == PAGE else None,
        given_up=given_up,
        may_change=may_system("update"),
        recipients=here().settings.alert_recipients.split(),
    )


def show_alert(alert_id: int) -> Response:
    """One alert with the trace of each of its messages."""
    need_system()
    with here().store.read() as db:
        found = next(iter(alerts.page(db, before=alert_id + 1, limit=1)), None)
        messages = outbox.of_alert(db, alert_id)
    if found is None or found.id != alert_id:
        abort(404, "There is no such alert; old ones are forgotten.")
    return page("alert.html", alert=found, messages=messages, may_change=may_system("update"))


def retry_message(message_id: int) -> Response:
    """Send a given-up message after all."""
    need_system("update")
    edges = here()
    with edges.store.write() as db:
        again = outbox.retry(db, message_id)
        job_id = jobs.request(db, NOTIFY_REQUEST) if again else None
        if again:
            audit.append(db, current_user().name, "message.retry", f"message:{message_id}")
    if job_id is None:
        abort(404, "That message does not wait for anybody any more.")
    edges.hint(hints((job_id,), jobs.Queue.NOTIFY))
    return _to("ui.show_alerts")


def try_alert() -> Response:
    """Send a test message and show what the channel answered."""
    need_system("update")
    answer = registry.test_alert(here(), request.form.get("recipient", "").strip()[:500], current_user().name)
    return page("done.html", title="Test message", message=answer, back=url_for("ui.show_alerts"))


def show_deliveries() -> Response:
    """What Git hosts told us lately."""
    need_system()
    with here().store.read() as db:
        found = deliveries.recent(db, limit=2 * PAGE)
        last = max(deliveries.last_seen(db).values(), default=None)
    silent = last is None or here().now() - last > SILENT
    return page("deliveries.html", found=found, last=last, silent=silent)


def show_jobs() -> Response:
    """What waits for workers, and what was put aside."""
    need_system()
    with here().store.read() as db:
        found = jobs.quarantined(db)
        counted = jobs.counts(db)
        ages = jobs.oldest_due_age(db)
        tick = ticks.last(db, "stragglers")
        names = _names(db, found)
    queues = sorted({queue for queue, _ in counted} | set(ages))
    return page(
        "jobs.html",
        found=found,
        names=names,
        queues=[
            (queue, counted.get((queue, "queued"), 0), counted.get((queue, "leased"), 0), ages.get(queue))
            for queue in queues
        ],
        tick=tick,
        may_change=may_system("update"),
    )


def _names(db: Connection, found: Sequence[Job]) -> dict[str, str]:
    """The application's name for each subject that is one."""
    ids = {each.subject: int(each.subject.rpartition(":")[2]) for each in found if each.kind == APP}
    rows = applications.by_ids(db, sorted(set(ids.values())))
    return {subject: rows[number].name for subject, number in ids.items() if number in rows}


def retry_job(job_id: int) -> Response:
    """Do what a quarantined job was to do, after all."""
    need_system("update")
    edges = here()
    with edges.store.write() as db:
        again = jobs.retry(db, job_id)
        if again is not None:
            audit.append(db, current_user().name, "job.retry", f"job:{job_id}", {"new": again})
    if again is None:
        abort(404, "That job is not quarantined any more.")
    edges.hint(hints((again,)))
    return _to("ui.show_jobs")


def show_settings() -> Response:
    """Every setting with its meaning; of secrets only whether they are set."""
    need_system()
    return page("settings.html", sections=[(title, list(group)) for title, group in groupby(settings(), _section)])


def settings() -> list[Setting]:
    """The settings in force."""
    found = []
    for each in documented():
        value = getattr(here().settings, each.field)
        shown = f"{value.total_seconds():g}" if isinstance(value, timedelta) else str(value)
        if is_secret(each.field):
            shown = "set, not shown" if value else ""
        found.append(Setting(each.variable, shown, each.default, each.text, each.section))
    return found


def _section(setting: Setting) -> str:
    return setting.section


def _to(endpoint: str) -> Response:
    return redirect(url_for(endpoint), 303)  # type: ignore[return-value]
