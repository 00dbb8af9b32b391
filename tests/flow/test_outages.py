"""What is away is told once, loses and deletes nothing, and is told again when it is back."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from driftline.adapters.store import jobs, live, repositories
from driftline.adapters.store.columns import db_now
from driftline.adapters.store.tables import cluster, job, outbox
from driftline.flow import fetch, operate, tick, work
from driftline.flow.subjects import app_request
from tests.flow.installation import Installation, config, manifests
from tests.kit.apiproxy import ApiProxy, Fault
from tests.kit.cluster import eventually, random_name
from tests.kit.githost import Fault as GitFault
from tests.kit.slackhost import Failure, SlackHost


@pytest.fixture
def gone_host(here: Installation) -> Iterator[Installation]:
    """A Git host that answers 503 until `here.host.fault` is cleared."""
    here.host.fault = GitFault(status=503, only=here.repository)
    yield here
    here.host.fault = None


def _away(proxy: ApiProxy) -> list[Fault]:
    """Nothing gets through but errors."""
    words = ("GET", "PATCH", "POST", "DELETE")
    return [proxy.fail(method, "", 503, times=100_000) for method in words]


def _back(faults: list[Fault]) -> None:
    for each in faults:
        each.times = 0


def test_a_repository_that_is_away_is_told_once_and_when_it_is_back(gone_host: Installation) -> None:
    here = gone_host
    here.push_directly({"app/all.yaml": manifests(config("one", a="1"))})
    names = [here.declare() for _ in range(2)]
    here.settle()
    here.hurry(3)
    subject = next(subject for _, subject, _ in here.alerts("on-repository-unreachable"))
    assert here.alerts() == [("on-repository-unreachable", subject, True)], "one alert, however many applications"
    with here.store.read() as db:
        [row] = [each for each in repositories.everything(db) if each.url == here.url]
    assert row.state == "unreachable" and row.failing_since is not None
    assert all("503" in here.conditions(name)["ComparisonError"] for name in names), "the application says why"
    assert not here.quarantined()

    here.host.fault = None
    here.hurry(3)
    assert {here.status(name)[0] for name in names} <= {"Synced", "OutOfSync"}
    assert here.alerts("on-repository-unreachable") == [("on-repository-unreachable", subject, False)]


@pytest.mark.covers("RFR-06")
def test_a_fetch_that_fails_changes_nothing(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare()
    here.settle()
    before = here.app(name)
    here.push({"app/all.yaml": manifests(config("two", a="1"))})
    here.host.fault = GitFault(status=500, only=here.repository)
    try:
        here.fetch()
        here.hurry(2)
        after = here.app(name)
        assert (after.sync_status, after.revisions) == (before.sync_status, before.revisions)
        assert here.config("one") is not None
    finally:
        here.host.fault = None
    here.hurry(2)
    assert here.config("one") is None and here.config("two") is not None


def test_a_cluster_that_is_away_is_told_once_and_nothing_is_taken_for_absent(
    distant: Installation, proxy: ApiProxy
) -> None:
    here = distant
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare()
    here.settle()
    assert here.status(name) == ("Synced", "Healthy")
    faults = _away(proxy)
    proxy.cut()
    here.scan()
    here.settle()
    here.look(name, fresh=True)
    here.settle()
    assert here.alerts() == [
        *[each for each in here.alerts() if each[0] == "on-sync-succeeded"],
        ("on-cluster-unreachable", "cluster:in-cluster", True),
    ]
    assert here.status(name)[0] == "Synced", "a verdict stays while it is fresh"
    assert here.owned(name), "and so does the inventory"
    asked = len(proxy.requests)
    here.look(name)
    here.settle()
    assert len(proxy.requests) == asked, "what was away a moment ago is left alone for a while"

    here.clock.ahead += timedelta(minutes=11)
    here.scan()
    here.settle()
    assert here.status(name)[0] == "Unknown", "verdicts age"

    _back(faults)
    here.scan()
    here.hurry(3)
    assert here.status(name)[0] == "Synced"
    assert here.alerts("on-cluster-unreachable") == [("on-cluster-unreachable", "cluster:in-cluster", False)]
    assert not here.quarantined() and here.config("one") is not None


def test_a_living_watch_does_not_keep_a_clusters_alert_open(distant: Installation, proxy: ApiProxy) -> None:
    here = distant
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare()
    here.settle()
    faults = _away(proxy)
    here.scan()
    here.settle()
    _back(faults)
    with here.store.write() as db:
        db.execute(update(cluster).values(watch_bookmark_at=db_now()))
        jobs.request(db, app_request(here.app(name).id))
    here.clock.ahead += timedelta(seconds=30)
    here.hurry(2)
    assert here.alerts("on-cluster-unreachable") == [("on-cluster-unreachable", "cluster:in-cluster", False)]


def test_a_sync_goes_on_where_it_was_when_the_cluster_is_back(distant: Installation, proxy: ApiProxy) -> None:
    here = distant
    second = config("second", a="1")
    second["metadata"]["annotations"] = {"argocd.argoproj.io/sync-wave": "1"}
    here.push({"app/all.yaml": manifests(config("first", a="1"), second)})
    fault = proxy.fail("PATCH", "configmaps/second", 503, times=100_000)
    name = here.declare()
    here.settle()
    [sync] = here.syncs(name)
    assert sync.phase == "Running" and here.config("first") is not None
    fault.times = 0
    here.clock.ahead += timedelta(minutes=10)
    here.hurry(3)
    assert here.phases(name) == [("git", "Succeeded")]
    assert here.config("second") is not None and not here.quarantined()


def test_a_kind_that_may_not_be_listed_does_not_hide_the_others(distant: Installation, proxy: ApiProxy) -> None:
    here = distant
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "stringData": {"a": "b"}}
    here.push({"app/all.yaml": manifests(config("one", a="1"), secret)})
    name = here.declare(automated={})
    here.settle()
    refusal = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "no"}
    proxy.fail("GET", "/api/v1/secrets", 403, body=refusal, times=100)
    here.hands.merge_patch("v1/configmaps", here.namespace, "one", {"data": {"a": "hand"}})
    here.scan()
    here.settle()
    assert [each.path for each in here.drift(name, only_open=True)] == ["data.a"]
    assert not here.alerts("on-cluster-unreachable")


def test_a_list_that_breaks_off_deletes_nothing(distant: Installation, proxy: ApiProxy) -> None:
    here = distant
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare()
    here.settle()
    proxy.fail("GET", "/api/v1/configmaps", 500, times=100)
    here.scan()
    here.settle()
    with here.store.read() as db:
        [seen] = live.of_application(db, here.app(name).id).values()
    assert not seen.gone and here.owned(name)


def test_a_read_that_fails_while_deleting_forgets_nothing(distant: Installation, proxy: ApiProxy) -> None:
    here = distant
    here.push({"app/all.yaml": manifests(config("one", a="1"), config("two", a="1"))})
    name = here.declare()
    here.settle()
    fault = proxy.fail("GET", "configmaps/one", 500, times=100_000)
    operate.remove(here.edges, name, "dana", cascade=True)
    here.hurry(3)
    assert here.find(name) is not None and f"/ConfigMap/{here.namespace}/one" in here.owned(name)
    fault.times = 0

    def gone() -> bool:
        here.hurry(1)
        return here.find(name) is None

    eventually(gone, 15)
    assert here.config("one") is None and here.config("two") is None


# -- the tick ----------------------------------------------------------------------------------------------------------


def test_the_job_of_a_dead_worker_is_taken_over(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare()
    with here.store.write() as db:
        [taken] = jobs.claim_due(db, "fast", "a worker that dies", timedelta(seconds=60))
        db.execute(update(job).where(job.c.id == taken.id).values(lease_until=db_now(timedelta(seconds=-1))))
    here.hints.clear()
    tick.tick(here.edges)
    assert [hint.job_id for hint in here.hints] == [taken.id]
    here.settle()
    assert here.status(name) == ("Synced", "Healthy")


def test_a_job_that_keeps_failing_is_put_aside_told_once_and_over_when_it_succeeds(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare()

    def broken(*_: object) -> tuple[int, ...]:
        raise ValueError("a fault of ours with password=hunter2hunter2")

    here.edges = replace(here.edges, settings=replace(here.edges.settings, job_attempts=3))
    monkeypatch.setitem(work.HANDLERS, "fetch", broken)
    for _ in range(2):
        here.hurry(here.edges.settings.job_attempts + 1)
        here.fetch()
    here.hurry(here.edges.settings.job_attempts + 1)
    found = here.quarantined()
    assert found and all("ValueError" in each.error and "hunter2" not in each.error for each in found)
    assert [open_ for _, _, open_ in here.alerts("on-job-quarantined")] == [True], "one alert, not one for each row"

    monkeypatch.setitem(work.HANDLERS, "fetch", fetch.run)
    here.fetch()
    here.settle()
    assert here.status(name) == ("Synced", "Healthy")
    tick.tick(here.edges)
    assert [open_ for _, _, open_ in here.alerts("on-job-quarantined")] == [False]


def test_a_tick_asks_for_what_nobody_reported_and_two_ask_once(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    here.declare()
    here.settle()
    here.clock.ahead += timedelta(minutes=3)
    tick.tick(here.edges)
    with here.store.read() as db:
        asked = db.execute(select(job.c.kind, job.c.wanted).where(job.c.state == "queued")).all()
    assert {kind for kind, _ in asked} == {"scan", "fetch"}
    tick.tick(here.edges)
    with here.store.read() as db:
        assert db.execute(select(job.c.kind, job.c.wanted).where(job.c.state == "queued")).all() == asked


# -- messages ----------------------------------------------------------------------------------------------------------


def test_an_alert_is_sent_once_although_its_channel_was_away(telling: Installation, slack: SlackHost) -> None:
    here = telling
    here.queues = ("fast", "scan", "notify")
    slack.fail_next(Failure(503, ""), Failure(429, "", {"Retry-After": "30"}))
    name = _failing(here)
    assert not slack.messages
    for _ in range(3):
        _make_messages_due(here)
    assert len(slack.messages) == 1
    assert name in str(slack.messages[0])
    with here.store.read() as db:
        [row] = db.execute(select(outbox.c.state, outbox.c.attempts)).all()
    assert tuple(row) == ("sent", 2)
    _make_messages_due(here)
    assert len(slack.messages) == 1


def test_an_alert_that_no_one_takes_for_a_day_is_dead_and_leaves_a_trace(
    telling: Installation, slack: SlackHost
) -> None:
    here = telling
    here.queues = ("fast", "scan", "notify")
    slack.fail_next(*[Failure(503, "") for _ in range(10)])
    name = _failing(here)
    here.clock.ahead += timedelta(days=1, minutes=1)
    _make_messages_due(here)
    with here.store.read() as db:
        [row] = db.execute(select(outbox.c.state, outbox.c.error)).all()
    assert row.state == "dead" and "503" in row.error
    assert here.phases(name) == [("git", "Failed")], "a channel that fails delays no sync"


def _failing(here: Installation) -> str:
    """An application whose sync has failed, so that people have to be told."""
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    where = {"server": "https://kubernetes.default.svc", "namespace": random_name("nowhere")}
    name = here.declare(automated={}, retry={"limit": 0}, destination=where)
    here.settle()
    return name


def _make_messages_due(here: Installation) -> None:
    with here.store.write() as db:
        db.execute(update(outbox).where(outbox.c.state == "pending").values(run_at=db_now()))
    here.clock.ahead += timedelta(seconds=6)
    tick.tick(here.edges)
    here.settle()
