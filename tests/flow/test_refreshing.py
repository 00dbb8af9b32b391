"""When an application is looked at again: in time, because its objects changed, because a person asks, or never."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from deploy.localcluster.build import helm
from driftline.adapters.git import Fetched
from driftline.adapters.render.request import Rendered, RenderRequest
from driftline.adapters.store import clusters, jobs, repositories
from driftline.adapters.store.jobs import Queue
from driftline.adapters.taskqueue import Hint
from driftline.flow import declare, observe, operate, tick, work
from driftline.flow.operate import SyncRequest
from driftline.flow.subjects import fetch_request
from driftline.model.access import RepositoryAccess
from driftline.model.application import SKIP
from driftline.model.errors import Permanent
from driftline.model.objects import Key, Object
from tests.flow.installation import Installation, config, deployment, manifests
from tests.kit.cluster import eventually

CHART = {"app/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n", "app/values.yaml": "a: '1'\n"}
PLAIN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: %s}\n"


@pytest.fixture
def charts(small: Installation) -> Installation:
    small.edges.close()
    small.edges = small.more_edges(helm=str(helm()))
    return small


def renders(here: Installation, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The applications that are rendered from now on."""
    made: list[str] = []
    render = here.edges.renderers.render

    def counted(each: RenderRequest) -> Rendered:
        made.append(each.application.name)
        return render(each)

    monkeypatch.setattr(here.edges.renderers, "render", counted)
    return made


@pytest.mark.covers("RFR-02")
def test_a_hard_refresh_renders_anew_and_writes_nothing(charts: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    charts.push({**CHART, "app/templates/one.yaml": PLAIN % "{{ .Values.a | quote }}"})
    name = charts.declare()
    charts.settle()
    assert charts.status(name) == ("Synced", "Healthy")
    made, mark = renders(charts, monkeypatch), charts.local.audit_mark()
    operate.refresh(charts.edges, name)
    charts.settle()
    assert made == [], "the stored render is of the same content"
    operate.refresh(charts.edges, name, hard=True)
    charts.settle()
    assert made == [name]
    assert charts.status(name) == ("Synced", "Healthy")
    assert written(charts, mark) == [] and charts.phases(name) == [("git", "Succeeded")]
    charts.look(name, fresh=True)
    charts.settle()
    assert made == [name], "a hard refresh was asked for once"


@pytest.mark.covers("GEN-09", "RFR-02")
def test_a_chart_with_random_values_is_flagged_and_stays_as_it_was_rendered(charts: Installation) -> None:
    charts.push({**CHART, "app/templates/one.yaml": PLAIN % "{{ randAlphaNum 20 | quote }}"})
    name = charts.declare()
    charts.settle()
    assert charts.status(name) == ("Synced", "Healthy")
    assert "app/templates/one.yaml: uses randAlphaNum" in charts.conditions(name)["RenderWarning"]
    mark, before = charts.local.audit_mark(), charts.config("one")
    operate.refresh(charts.edges, name, hard=True)
    charts.settle()
    assert charts.status(name) == ("Synced", "Healthy")
    assert "ConfigMap one: rendered differently" in charts.conditions(name)["RandomRenderWarning"]
    assert written(charts, mark) == [] and charts.config("one") == before


def written(here: Installation, mark: int) -> list[str]:
    entries = here.local.audit(mark)
    return [
        f"{entry.verb} {entry.uri}"
        for entry in entries
        if entry.user == "driftline"
        and entry.verb in ("create", "patch", "update", "delete")
        and "dryRun" not in entry.uri
    ]


def test_a_plain_application_is_rendered_anew_as_well(small: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    small.push({"app/one.yaml": PLAIN % "'1'"})
    name = small.declare()
    small.settle()
    made, mark = renders(small, monkeypatch), small.local.audit_mark()
    operate.refresh(small.edges, name, hard=True)
    small.settle()
    assert made == [name] and written(small, mark) == []
    assert small.status(name) == ("Synced", "Healthy")


@pytest.mark.covers("WH-07")
def test_a_storm_of_deliveries_without_news_is_answered_by_a_few_fetches(small: Installation) -> None:
    small.push({"app/one.yaml": PLAIN % "'1'"})
    small.declare()
    small.settle()
    paused: list[float] = []

    def pause(seconds: float) -> None:
        paused.append(seconds)

    small.edges = replace(small.edges, pause=pause)
    small.fetch()
    small.settle()
    assert paused == [], "one delivery is looked into at once"

    ask = small.edges.mirrors.fetch

    def meanwhile(access: RepositoryAccess, refs: Sequence[str]) -> Fetched:
        if not paused:
            small.fetch()
        return ask(access, refs)

    small.fetch()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(small.edges.mirrors, "fetch", meanwhile)
        assert small.settle() == 2, "it was announced while it was fetched, so it is fetched again"
    assert len(paused) == 1


@pytest.mark.covers("RFR-01")
def test_a_push_during_a_slow_fetch_of_its_repository_wakes_a_fast_worker(here: Installation) -> None:
    here.push({"app/one.yaml": PLAIN % "1"})
    here.declare()
    here.settle()
    with here.store.write() as db:
        [row] = [each for each in repositories.everything(db) if each.url == here.url]
        number = jobs.request(db, fetch_request(row.id, Queue.SCAN))
    with here.store.write() as db:
        held = jobs.claim(db, number, "slow worker", timedelta(seconds=30))
    assert held is not None
    here.fetch()
    here.hints.clear()
    work.perform(held, here.edges)
    assert Hint(number, Queue.FAST) in here.hints
    assert here.settle() >= 1

    with here.store.write() as db:
        number = jobs.request(db, fetch_request(row.id, Queue.SCAN))
        held = jobs.claim(db, number, "slow worker", timedelta(seconds=30))
    assert held is not None
    here.hints.clear()
    work.perform(held, here.edges)
    assert not here.hints, "nobody asked again"


def test_a_push_that_nobody_announced_is_found_in_time(small: Installation) -> None:
    small.push({"app/one.yaml": PLAIN % "'1'"})
    name = small.declare()
    small.settle()
    commit = small.push({"app/one.yaml": PLAIN % "'2'"})
    tick.tick(small.edges)
    small.hurry(2)
    assert small.app(name).revisions != [commit], "the repository was fetched a moment ago"
    small.clock.ahead += small.edges.settings.poll_interval + timedelta(seconds=1)
    tick.tick(small.edges)
    small.hurry(2)
    assert small.app(name).revisions == [commit] and small.status(name)[0] == "Synced"


def watched(here: Installation, kind: str, key: Key) -> Object:
    """What a watch reports of an object; it is taken in."""
    body = here.hands.get(kind, here.namespace, key.name)
    assert body is not None
    with here.store.read() as db:
        [row] = clusters.everything(db)
    observe.observe(here.edges, row, [observe.Seen(key, body)])
    return body


@pytest.mark.covers("RFR-03")
def test_a_changed_object_brings_a_look_that_asks_git_nothing(small: Installation) -> None:
    small.push({"app/one.yaml": PLAIN % "'1'"})
    name = small.declare(automated=None)
    operate.request_sync(small.edges, name, SyncRequest(), "dana")
    small.settle()
    assert small.status(name)[0] == "Synced"
    small.hands.merge_patch("v1/configmaps", small.namespace, "one", {"data": {"a": "by hand"}})
    asked = len(small.host.requests)
    watched(small, "v1/configmaps", Key("", "ConfigMap", small.namespace, "one"))
    small.hurry(2)
    assert small.status(name)[0] == "OutOfSync"
    assert len(small.host.requests) == asked


@pytest.mark.covers("RFR-04")
def test_what_is_not_ours_brings_no_look_and_health_is_taken_in_without_one(small: Installation) -> None:
    small.push({"app/all.yaml": manifests(deployment("web", replicas=0), config("one", a="1"))})
    name = small.declare()

    def rested() -> bool:
        small.look(name, fresh=True)
        small.settle()
        return small.status(name) == ("Synced", "Healthy")

    eventually(rested, 30)
    looked = small.app(name).checked_at
    key = Key("apps", "Deployment", small.namespace, "web")
    other = {"metadata": {"annotations": {"someone.example/else": "x"}}}
    small.hands.merge_patch("apps/v1/deployments", small.namespace, "web", other)
    body = watched(small, "apps/v1/deployments", key)
    assert body["metadata"]["annotations"]["someone.example/else"] == "x"
    assert small.settle() == 0 and small.app(name).checked_at == looked
    with small.store.read() as db:
        [row] = clusters.everything(db)
    worse = {**body, "spec": {**body["spec"], "replicas": 0}, "status": {**body["status"], "unavailableReplicas": 1}}
    worse["status"]["observedGeneration"] = body["metadata"]["generation"]
    worse["status"]["conditions"] = [
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow"}
    ]
    worse["metadata"] = {**body["metadata"], "resourceVersion": str(int(body["metadata"]["resourceVersion"]) + 1)}
    observe.observe(small.edges, row, [observe.Seen(key, worse)])
    assert small.status(name)[1] == "Degraded" and small.app(name).checked_at == looked


@pytest.mark.covers("RFR-05")
def test_an_application_that_is_to_be_left_alone_is_neither_compared_nor_synced(small: Installation) -> None:
    small.push({"app/one.yaml": PLAIN % "'1'"})
    name = small.declare()
    small.settle()
    document = small.document(name, automated={"prune": True, "selfHeal": True})
    document["metadata"]["annotations"] = {SKIP: "true"}
    [outcome] = declare.declare(small.edges, [document], "dana", upsert=True)
    assert any(SKIP in warning for warning in outcome.warnings)
    before = small.app(name)
    small.push({"app/one.yaml": PLAIN % "'2'"})
    small.hands.merge_patch("v1/configmaps", small.namespace, "one", {"data": {"a": "by hand"}})
    small.fetch()
    small.look(name, fresh=True)
    small.hurry(2)
    found = small.config("one")
    assert found is not None and found["data"] == {"a": "by hand"}
    assert (small.app(name).checked_at, len(small.syncs(name))) == (before.checked_at, 1)
    with pytest.raises(Permanent, match=f"{SKIP} forbids operations"):
        operate.request_sync(small.edges, name, SyncRequest(), "dana")
    small.declare(name, upsert=True)
    small.settle()
    found = small.config("one")
    assert found is not None and found["data"] == {"a": "2"}


@pytest.mark.covers("GEN-09", "HOOK-07")
def test_a_charts_hooks_run_and_what_it_keeps_is_kept(charts: Installation) -> None:
    notes = "annotations: {helm.sh/%s}"
    job = (
        "apiVersion: batch/v1\nkind: Job\n"
        "metadata: {name: migrate, annotations: {helm.sh/hook: 'pre-install,pre-upgrade'}}\n"
        "spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: 'tool:1'}]}}}\n"
    )
    kept = (PLAIN % "'1'").replace("{name: one}", "{name: kept, " + notes % "resource-policy: keep" + "}")
    charts.push(
        {
            **CHART,
            "app/templates/one.yaml": PLAIN % "'1'",
            "app/templates/job.yaml": job,
            "app/templates/kept.yaml": kept,
        }
    )
    name = charts.declare()

    def done() -> bool:
        charts.hurry(2)
        return charts.phases(name) == [("git", "Succeeded")]

    eventually(done, 30)
    hooks = [each["key"] for each in (charts.syncs(name)[0].results or {}).get("hooks", ())]
    assert any("migrate" in str(each) for each in hooks)
    assert f"batch/Job/{charts.namespace}/migrate" not in charts.owned(name), "a hook is no object of the application"
    charts.push({"app/templates/kept.yaml": None, "app/templates/job.yaml": None})
    charts.fetch()
    charts.hurry(2)
    assert charts.config("kept") is not None and charts.config("one") is not None
    operate.remove(charts.edges, name, "dana", cascade=True)

    def gone() -> bool:
        charts.hurry(2)
        return charts.find(name) is None

    eventually(gone, 30)
    assert charts.config("kept") is not None and charts.config("one") is None
