"""From the first sign of trouble to what people read, over real servers: once, in order, and without a secret."""

import base64
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from driftline.adapters.notify import NotifySettings, SlackSettings, SmtpSettings, WebhookSettings, send
from driftline.alerts.outgoing import Outgoing, fold, messages_for, next_attempt
from driftline.alerts.routing import Routes, Scope, parse_recipient, recipients
from driftline.alerts.routing import Subscription as To
from driftline.alerts.rows import decode_alert, decode_outgoing, encode_alert, encode_outgoing
from driftline.alerts.state import slot, to_root, transition
from driftline.alerts.texts import drift_facts
from driftline.model.alert import Condition, Recipient, Signal
from driftline.model.drift import Author, FieldDrift, Verdict, VerdictState
from driftline.model.errors import Failure as Failed
from driftline.model.objects import Key
from tests.kit.mailcatcher import Mailcatcher
from tests.kit.slackhost import Failure, SlackHost

START = datetime(2026, 3, 1, 14, 2, 30, tzinfo=UTC)
CANARY = "c4nary-7f3a9-value"


@dataclass
class Outbox:
    """What flow and the store do with alerts, in memory: rows are kept as the JSON that a database would hold."""

    settings: NotifySettings
    to: tuple[Recipient, ...]
    now: datetime = START
    alerts: dict[str, dict[str, object]] = field(default_factory=dict)
    waiting: dict[str, dict[str, object]] = field(default_factory=dict)
    first_at: dict[str, datetime] = field(default_factory=dict)
    due_at: dict[str, datetime] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    threads: dict[str, str] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)

    def hears(self, *signals: Signal) -> None:
        for signal in signals:
            told = to_root(signal)
            row = self.alerts.get(slot(told))
            for change in transition(told, decode_alert(row) if row else None, self.now):
                self.alerts[change.alert.slot] = encode_alert(change.alert)
                routes = Routes(tuple(To(recipient) for recipient in self.to))
                for item in messages_for(change, recipients(told.condition, [Scope()], routes)):
                    if item.dedupe_key not in self.first_at:
                        self.waiting[item.dedupe_key] = encode_outgoing(item)
                        self.first_at[item.dedupe_key] = self.due_at[item.dedupe_key] = self.now

    def sends(self, dies_before_marking: bool = False) -> None:
        """One round of the notify queue."""
        due = [decode_outgoing(row) for key, row in self.waiting.items() if self.due_at[key] <= self.now]
        for address in dict.fromkeys((item.channel, item.address) for item in due):
            self._send([item for item in due if (item.channel, item.address) == address], dies_before_marking)

    def _send(self, due: Iterable[Outgoing], dies_before_marking: bool) -> None:
        for entry in fold(list(due)):
            thread = self.threads.get(entry.outgoing.thread_key, "")
            try:
                sent = send(entry.outgoing, thread, self.settings)
            except Failed as error:
                self._again(entry.replaces, error)
                continue
            if dies_before_marking:
                return
            self.threads.setdefault(entry.outgoing.thread_key, sent.thread)
            for key in entry.replaces:
                del self.waiting[key]

    def _again(self, keys: Iterable[str], error: Failed) -> None:
        for key in keys:
            self.attempts[key] = self.attempts.get(key, 0) + 1
            at = next_attempt(self.attempts[key], error, self.now, self.first_at[key], key)
            if at is None:
                self.dead.append(str(error))
                del self.waiting[key]
            else:
                self.due_at[key] = at


def to(*texts: str) -> tuple[Recipient, ...]:
    return tuple(recipient for text in texts if (recipient := parse_recipient(text)))


def slack_only(slack: SlackHost) -> Outbox:
    return Outbox(NotifySettings(slack=SlackSettings("xoxb-1", slack.api_url)), to("slack:#deploys"))


def failed(number: int, root: str = "cluster:prod") -> Signal:
    return Signal(Condition.SYNC_FAILED, f"app:shop-{number}", True, "rev", root=root, facts={"message": "no answer"})


def test_thirty_applications_of_a_cluster_that_is_away_are_one_message_and_one_end(slack: SlackHost) -> None:
    outbox = slack_only(slack)
    for number in range(30):
        outbox.hears(failed(number))
        outbox.sends()
    outbox.now += timedelta(minutes=7)
    outbox.hears(Signal(Condition.CLUSTER_UNREACHABLE, "cluster:prod", False))
    outbox.sends()
    assert [message["text"] for message in slack.messages] == [
        "cluster prod: unreachable",
        "cluster prod: reachable again",
    ]
    assert slack.messages[1]["thread_ts"]


def test_a_commit_that_breaks_thirty_applications_at_once_is_one_message(slack: SlackHost) -> None:
    outbox = slack_only(slack)
    outbox.hears(*(failed(number, root="") for number in range(30)))
    outbox.sends()
    assert [message["text"] for message in slack.messages] == ["30 alerts, 30 still open"]
    assert outbox.waiting == {}


def test_an_hour_without_slack_ends_in_one_summary_and_nothing_is_lost(slack: SlackHost) -> None:
    outbox = slack_only(slack)
    end = START + timedelta(hours=1)
    for number in range(6):
        outbox.hears(failed(number, root=""))
    while outbox.now < end:
        slack.fail_next(Failure(503))
        outbox.sends()
        outbox.now += timedelta(minutes=5)
    slack._failures.clear()
    outbox.now += timedelta(hours=1)
    outbox.sends()
    assert [message["text"] for message in slack.messages] == ["6 alerts, 6 still open"]
    assert outbox.waiting == {} and outbox.dead == []


def test_a_message_that_nobody_takes_is_dead_after_a_day_with_its_reason(slack: SlackHost) -> None:
    outbox = slack_only(slack)
    outbox.hears(failed(1))
    slack.fail_next(*[Failure(503)] * 200)
    while outbox.waiting:
        outbox.sends()
        outbox.now += timedelta(minutes=15)
    assert outbox.dead == ["slack #deploys: answered 503"]
    assert outbox.now <= START + timedelta(days=1, minutes=15)


def test_a_worker_that_dies_after_sending_repeats_one_message_that_can_be_told_apart(slack: SlackHost) -> None:
    with Mailcatcher() as mails:
        smtp = SmtpSettings("127.0.0.1", mails.port, "none")
        hook = WebhookSettings(allow_private=True)
        settings = NotifySettings(SlackSettings("xoxb-1", slack.api_url), smtp, hook)
        outbox = Outbox(settings, to("slack:#deploys", "email:ops@example.com", f"webhook:{slack.webhook_url}"))
        outbox.hears(failed(1))
        outbox.sends(dies_before_marking=True)
        outbox.sends()
        first, second = mails.wait_for(2)
    assert first.message["Message-ID"] == second.message["Message-ID"]
    posts = [body for body in slack.messages if "channel" in body]
    hooks = [body for body in slack.messages if "version" in body]
    assert posts[0]["metadata"] == posts[1]["metadata"] and len(posts) == 2
    assert hooks[0]["id"] == hooks[1]["id"] and len(hooks) == 2


def test_no_channel_carries_a_value_of_a_secret_that_drifted(slack: SlackHost) -> None:
    encoded = base64.b64encode(CANARY.encode()).decode()
    author = Author("kubectl-edit", "Update", "", START)
    verdicts = [
        Verdict(
            Key("", "Secret", "shop", "db"),
            VerdictState.DRIFTED,
            (FieldDrift("data.password", encoded, "b3RoZXI=", author),),
        ),
        Verdict(
            Key("apps", "Deployment", "shop", "web"),
            VerdictState.DRIFTED,
            (
                FieldDrift(
                    "spec.template.spec.containers[web].env[DB_URL].value",
                    f"postgres://u:{CANARY}@db/x",
                    "none",
                    author,
                ),
            ),
        ),
    ]
    facts = drift_facts("shop", verdicts, {}, b"key") | {"message": f"Authorization: Bearer {CANARY}"}
    with Mailcatcher() as mails:
        smtp = SmtpSettings("127.0.0.1", mails.port, "none")
        settings = NotifySettings(SlackSettings("xoxb-1", slack.api_url), smtp, WebhookSettings(allow_private=True))
        outbox = Outbox(settings, to("slack:#deploys", "email:ops@example.com", f"webhook:{slack.webhook_url}"))
        outbox.hears(Signal(Condition.DRIFT_FOUND, "app:shop", True, "fingerprint", facts=facts))
        outbox.hears(Signal(Condition.DRIFT_FOUND, "app:shop", False, facts={"how": f"token={CANARY}"}))
        outbox.sends()
        mailed = [caught.message for caught in mails.wait_for(2)]
    bodies = [call.raw for call in slack.calls]
    for mail in mailed:
        parts = [part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart()]
        bodies += [mail.as_bytes(), *(part for part in parts if isinstance(part, bytes))]
    assert len(slack.messages) == 4 and outbox.waiting == {}
    everything = b"\n".join(bodies) + str(outbox.alerts).encode()
    assert b"data.password ++++++++ #" in everything and b"kubectl-edit" in everything
    assert encoded.encode() not in everything and b"b3RoZXI" not in everything
    assert CANARY.encode() not in everything


@pytest.mark.parametrize("name", ["mailcatcher", "slackhost"])
def test_the_servers_run_as_programs(name: str, tmp_path: Path, slack: SlackHost) -> None:
    script = Path(__file__).parents[2] / "deploy" / "demo" / f"{name}.py"
    with SlackHost() as unused:
        port = unused.port
    process = subprocess.Popen([sys.executable, str(script), str(port), str(tmp_path)], stdout=subprocess.PIPE)
    try:
        if name == "mailcatcher":
            settings = NotifySettings(smtp=SmtpSettings("127.0.0.1", port, "none"))
            outbox = Outbox(settings, to("email:ops@example.com"))
        else:
            settings = NotifySettings(slack=SlackSettings("xoxb-1", f"http://127.0.0.1:{port}/api/"))
            outbox = Outbox(settings, to("slack:#deploys"))
        outbox.hears(failed(1))
        end = time.monotonic() + 20
        while outbox.waiting and time.monotonic() < end:
            outbox.sends()
            outbox.now += timedelta(minutes=1)
            time.sleep(0.1)
        assert [path.suffix for path in tmp_path.iterdir()] == [".eml" if name == "mailcatcher" else ".json"]
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=10)
    assert output == b""
