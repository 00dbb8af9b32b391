"""Alerts fire once and recover once; messages are sent once, tried again, or given up."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from driftline.adapters.store import alerts, outbox
from driftline.adapters.store.alerts import Firing, Subscription
from driftline.adapters.store.engine import Store
from driftline.adapters.store.jobs import LeaseLost
from driftline.adapters.store.outbox import OutboxRow, OutboxState, Outgoing
from driftline.model.alert import Condition, Edge, Message
from tests.kit.databases import count_statements

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LEASE = timedelta(seconds=30)
SICK = Firing("app:shop", Condition.HEALTH_DEGRADED, "", facts={"why": "CrashLoopBackOff"})


def send(store: Store, key: str, alert_id: int | None = None) -> list[int]:
    message = Outgoing("slack", "#shop", Edge.FIRE, Message("shop is degraded", "..."), key, alert_id)
    return store.transact(lambda db: outbox.add_many(db, [message], NOW))


def claim(store: Store, lease: timedelta = LEASE) -> list[OutboxRow]:
    return store.transact(lambda db: outbox.claim_due(db, lease))


def test_a_trouble_fires_once_until_it_is_over(store: Store) -> None:
    first = store.transact(lambda db: alerts.fire_many(db, [SICK], NOW))
    again = store.transact(lambda db: alerts.fire_many(db, [SICK], NOW))
    assert [(row.id, row.count) for row in first + again] == [(first[0].id, 1), (first[0].id, 2)]
    assert again[0].facts == {"why": "CrashLoopBackOff"}
    over = [store.transact(lambda db: alerts.recover_many(db, [first[0].id], NOW)) for _ in range(2)]
    assert [len(rows) for rows in over] == [1, 0]
    relapse = store.transact(lambda db: alerts.fire_many(db, [SICK], NOW))
    assert relapse[0].id != first[0].id and relapse[0].count == 1
    with store.read() as db:
        assert [row.id for row in alerts.open_of(db, ["app:shop", "app:bank"])] == [relapse[0].id]
        assert [row.id for row in alerts.page(db)] == [relapse[0].id, first[0].id]
        assert [row.id for row in alerts.page(db, only_open=True)] == [relapse[0].id]


def test_a_one_off_is_never_open(store: Store) -> None:
    done = Firing("app:shop", Condition.SYNC_SUCCEEDED, "abc", once=True)
    rows = store.transact(lambda db: alerts.fire_many(db, [done, SICK, done], NOW))
    assert len(rows) == 3
    with store.read() as db:
        assert [row.condition for row in alerts.open_of(db, ["app:shop"])] == [Condition.HEALTH_DEGRADED]
    assert store.transact(lambda db: alerts.prune(db, NOW + LEASE)) == 2


def test_a_message_is_queued_once_by_its_key(store: Store) -> None:
    messages = [Outgoing("email", f"{n}@example.org", Edge.ONCE, {}, f"key-{n}") for n in range(20)]
    with count_statements(store.engine) as seen:
        assert len(store.transact(lambda db: outbox.add_many(db, messages, NOW))) == 20
    assert len(seen) == 1
    assert store.transact(lambda db: outbox.add_many(db, messages, NOW)) == []


def test_a_sent_message_keeps_its_thread_for_the_next(store: Store) -> None:
    alert_id = store.transact(lambda db: alerts.fire_many(db, [SICK], NOW))[0].id
    send(store, "fire", alert_id)
    row = claim(store)[0]
    assert row.message["title"] == "shop is degraded" and row.edge is Edge.FIRE
    store.transact(lambda db: outbox.mark_sent(db, row, NOW, thread="1736.55"))
    with store.read() as db:
        alert = alerts.open_of(db, ["app:shop"])[0]
        assert alert.threads == {outbox.thread_key("slack", "#shop"): "1736.55"}
        assert alert.last_sent_at == NOW
        assert [each.id for each in alerts.due_reminders(db, NOW + LEASE)] == [alert_id]
        assert alerts.due_reminders(db, NOW) == []
        assert [each.state for each in outbox.of_alert(db, alert_id)] == [OutboxState.SENT]
        assert not outbox.due_exists(db)
    assert store.transact(lambda db: outbox.prune(db, NOW + LEASE)) == 1


def test_a_claimed_message_is_nobody_elses_until_its_lease_ends(store: Store) -> None:
    send(store, "one")
    stale = claim(store, timedelta(seconds=-1))[0]
    fresh = claim(store)[0]
    assert claim(store) == []
    with pytest.raises(LeaseLost):
        store.transact(lambda db: outbox.mark_sent(db, stale, NOW))
    with pytest.raises(LeaseLost):
        store.transact(lambda db: outbox.mark_failed(db, stale, "x", None))
    store.transact(lambda db: outbox.mark_sent(db, fresh, NOW))


def test_a_failed_message_is_tried_later_or_given_up_and_can_be_sent_after_all(store: Store) -> None:
    send(store, "one")
    row = claim(store)[0]
    assert store.transact(lambda db: outbox.mark_failed(db, row, "429", timedelta(hours=1))) is OutboxState.PENDING
    assert claim(store) == []
    send(store, "two")
    row = claim(store)[0]
    assert store.transact(lambda db: outbox.mark_failed(db, row, "token revoked", None)) is OutboxState.DEAD
    with store.read() as db:
        assert [(each.dedupe_key, each.error, each.attempts) for each in outbox.dead(db)] == [
            ("two", "token revoked", 1)
        ]
    assert store.transact(lambda db: outbox.retry(db, row.id))
    assert [each.dedupe_key for each in claim(store)] == ["two"]


def test_threads_share_no_message(store: Store) -> None:
    messages = [Outgoing("email", "a@example.org", Edge.ONCE, {}, f"key-{n}") for n in range(60)]
    store.transact(lambda db: outbox.add_many(db, messages, NOW))
    with ThreadPoolExecutor(8) as threads:
        got = [row.id for rows in threads.map(lambda _: claim(store), range(12)) for row in rows]
    assert len(got) == len(set(got)) == 60


def test_who_hears_of_what(store: Store) -> None:
    wishes = [
        Subscription(Condition.SYNC_FAILED, "app:shop", "slack", "#shop"),
        Subscription("*", "project:web", "email", "web@example.org"),
        Subscription(Condition.SYNC_FAILED, "*", "slack", "#all"),
        Subscription(Condition.SYNC_SUCCEEDED, "app:shop", "slack", "#noise"),
    ]
    store.transact(lambda db: alerts.subscribe(db, "app:shop", wishes))
    with store.read() as db:
        heard = alerts.subscriptions(db, [Condition.SYNC_FAILED], ["app:shop", "project:web"])
        assert {row.address for row in heard} == {"#shop", "web@example.org", "#all"}
    store.transact(lambda db: alerts.subscribe(db, "app:shop", wishes[:1]))
    with store.read() as db:
        assert [row.address for row in alerts.all_subscriptions(db, "app:shop")] == ["#shop"]
