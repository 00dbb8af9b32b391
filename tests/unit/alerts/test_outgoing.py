"""Messages on their way: one key per message, patience for a day, one summary instead of a flood."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.alerts.outgoing import Outgoing, fold, messages_for, next_attempt
from driftline.alerts.rows import decode_alert, decode_outgoing, encode_alert, encode_outgoing
from driftline.alerts.state import AlertChange, AlertPolicy, OpenAlert, due, transition
from driftline.model.alert import Condition, Edge, Recipient, Signal
from driftline.model.errors import Permanent, Temporary

NOW = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
OPS = Recipient("email", "ops@example.com")
DEPLOYS = Recipient("slack", "#deploys")


def fired(app: str = "shop", last: OpenAlert | None = None, after: int = 0) -> AlertChange:
    signal = Signal(Condition.DRIFT_FOUND, f"app:{app}", True, "replicas", facts={"application": app})
    (change,) = transition(signal, last, NOW + timedelta(seconds=after))
    return change


def over(change: AlertChange) -> AlertChange:
    (ended,) = transition(Signal(Condition.DRIFT_FOUND, change.alert.subject, False), change.alert, NOW)
    return ended


def test_one_message_for_each_address_and_none_twice() -> None:
    messages = messages_for(fired(), [OPS, DEPLOYS, OPS], {"actor": "ann"}, "https://d/x")
    assert [(item.channel, item.address) for item in messages] == [("email", "ops@example.com"), ("slack", "#deploys")]
    assert len({item.dedupe_key for item in messages}) == 2
    assert ("Started by", "ann") in messages[0].message.fields and messages[0].message.link == "https://d/x"


def test_the_same_change_decided_by_two_workers_gives_the_same_keys() -> None:
    (one,), (two,) = messages_for(fired(), [OPS]), messages_for(fired(after=3), [OPS])
    assert one.dedupe_key == two.dedupe_key


def test_begin_and_end_share_a_thread_and_the_next_episode_has_its_own() -> None:
    first = fired()
    again = fired(last=over(first).alert, after=60)
    (begin,), (end,), (later,) = (messages_for(change, [DEPLOYS]) for change in (first, over(first), again))
    assert begin.thread_key == end.thread_key != later.thread_key
    assert len({begin.dedupe_key, end.dedupe_key, later.dedupe_key}) == 3


def test_what_nobody_is_told_makes_no_message() -> None:
    assert messages_for(replace(over(fired()), told=False), [OPS]) == ()
    assert messages_for(AlertChange(fired().alert, None), [OPS]) == ()


def test_each_reminder_is_a_message_of_its_own() -> None:
    policy, alert, keys = AlertPolicy(remind_every=timedelta(hours=1)), fired().alert, set()
    for hour in (1, 2):
        (change,) = due(alert, NOW + timedelta(hours=hour), policy)
        keys |= {item.dedupe_key for item in messages_for(change, [OPS])}
        alert = change.alert
    assert len(keys) == 2


def test_attempts_grow_apart_and_end_after_a_day() -> None:
    at, waits = NOW, []
    for attempts in range(1, 1000):
        following = next_attempt(attempts, Temporary("slack: no answer"), at, NOW, "key")
        if following is None:
            break
        waits.append((following - at).total_seconds())
        at = following
    assert 10 <= waits[0] <= 12.5 and 20 <= waits[1] <= 25
    assert max(waits) <= 1800 * 1.25
    assert NOW + timedelta(hours=23) < at <= NOW + timedelta(days=1)


def test_what_failed_together_does_not_come_back_together() -> None:
    times = {next_attempt(5, Temporary("x"), NOW, NOW, f"key {number}") for number in range(50)}
    assert len(times) == 50
    assert next_attempt(5, Temporary("x"), NOW, NOW, "a") == next_attempt(5, Temporary("x"), NOW, NOW, "a")


def test_a_wait_that_was_asked_for_is_honoured() -> None:
    at = next_attempt(1, Temporary("slack: busy", timedelta(hours=2)), NOW, NOW, "k")
    assert at is not None and at >= NOW + timedelta(hours=2)
    assert next_attempt(1, Temporary("slack: busy", timedelta(days=2)), NOW, NOW, "k") is None


def test_a_permanent_failure_is_final_and_an_unknown_one_is_not() -> None:
    assert next_attempt(1, Permanent("email: no such user"), NOW, NOW) is None
    assert next_attempt(1, RuntimeError("bug"), NOW, NOW) is not None


@given(st.integers(0, 10_000), st.integers(0, 200_000), st.integers(0, 100_000), st.text())
def test_the_next_attempt_lies_in_the_future_and_within_the_day(attempts: int, delay: int, past: int, key: str) -> None:
    first = NOW - timedelta(seconds=past)
    at = next_attempt(attempts, Temporary("x", timedelta(seconds=delay)), NOW, first, key)
    assert at is None or (NOW + timedelta(seconds=max(delay, 10)) <= at <= first + timedelta(days=1))


def waiting(*changes: AlertChange) -> list[Outgoing]:
    return [item for change in changes for item in messages_for(change, [OPS])]


def test_a_few_waiting_messages_go_one_by_one() -> None:
    items = waiting(fired("a"), fired("b"), fired("c"))
    assert [(entry.outgoing, entry.replaces) for entry in fold(items)] == [(item, (item.dedupe_key,)) for item in items]


def test_thirty_waiting_messages_become_one_summary_that_says_what_is_over() -> None:
    changes = [fired(f"app-{number}") for number in range(30)]
    items = waiting(*changes, over(changes[0]), over(changes[1]))
    (entry,) = fold(items)
    assert entry.replaces == tuple(item.dedupe_key for item in items)
    message = entry.outgoing.message
    assert message.title == "32 alerts, 28 still open" and message.edge is Edge.FIRE
    assert "app-0: the cluster drifted from Git (over)\n" in message.text
    assert "app-2: the cluster drifted from Git\n" in message.text and "and 2 more" in message.text
    assert fold(items)[0].outgoing.dedupe_key == entry.outgoing.dedupe_key


def test_a_summary_of_hostile_titles_stays_text() -> None:
    (entry,) = fold(waiting(*(fired(f"<img src=x>{number}") for number in range(5))))
    assert "<img" not in entry.outgoing.message.html


@pytest.mark.parametrize("change", [fired(), over(fired())])
def test_rows_keep_everything(change: AlertChange) -> None:
    row = orjson.loads(orjson.dumps(encode_alert(change.alert)))
    assert decode_alert({**row, "of a newer release": 1}) == change.alert
    for item in messages_for(change, [OPS]):
        assert decode_outgoing(orjson.loads(orjson.dumps(encode_outgoing(item)))) == item
