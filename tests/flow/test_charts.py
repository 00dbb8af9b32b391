"""Applications whose source is a chart of a repository or a registry, from the declaration to the rollback."""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import select, update

from deploy.localcluster.build import helm as helm_binary
from driftline.adapters.charts import Charts
from driftline.adapters.store import histories, jobs, repositories
from driftline.adapters.store.repositories import RepositoryRow
from driftline.adapters.store.tables import alert
from driftline.adapters.store.tables.edges import repository
from driftline.flow import inspect, operate, receive, registry, tick, work
from driftline.flow.operate import SyncRequest
from driftline.flow.subjects import fetch_request
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent
from driftline.model.push import Push, RefAction, RefChange
from tests.flow.installation import Installation, config, manifests
from tests.kit.charthost import PASSWORD, USER, Answer, ChartHost, RegistryHost, Request, WebHost, basic, helm, package
from tests.kit.cluster import random_name

AUTOMATED = {"prune": True, "selfHeal": True}


@pytest.fixture
def here(here: Installation) -> Installation:
    return _with_helm(here)


@pytest.fixture
def small(small: Installation) -> Installation:
    return _with_helm(small)


def _with_helm(installation: Installation) -> Installation:
    installation.edges.close()
    installation.edges = installation.more_edges(helm=str(helm_binary()))
    return installation


@pytest.fixture
def charts(tmp_path: Path) -> Iterator[ChartHost]:
    with ChartHost(tmp_path / "charts") as running:
        yield running


@pytest.fixture
def oci(tmp_path: Path) -> Iterator[RegistryHost]:
    with RegistryHost.with_login(tmp_path / "registry" / "data") as running:
        yield running


def source(url: str, chart: str = "redis", revision: str = "18.*", **helm: Any) -> dict[str, Any]:
    return {"repoURL": url, "chart": chart, "targetRevision": revision, "helm": {"releaseName": "cache", **helm}}


def declared(here: Installation, of: Mapping[str, Any], automated: Mapping[str, Any] | None = AUTOMATED) -> str:
    name = here.declare(automated=automated, source=dict(of))
    here.settle()
    return name


def fetch(here: Installation, url: str) -> int:
    """What a webhook or the poll asks for; returns how many jobs were done."""
    with here.store.write() as db:
        jobs.request_many(db, [fetch_request(row(here, url).id)])
    return here.settle()


def row(here: Installation, url: str) -> RepositoryRow:
    with here.store.read() as db:
        [found] = [each for each in repositories.everything(db) if each.url == url]
    return found


def deployed(here: Installation, chart: str = "redis") -> tuple[str, str]:
    """Version and greeting of what runs."""
    found = here.config(f"cache-{chart}")
    assert found is not None, f"{chart} is not deployed"
    return found["data"]["version"], found["data"]["greeting"]


def history(here: Installation, name: str) -> list[histories.HistoryRow]:
    with here.store.read() as db:
        return histories.of_application(db, here.app(name).id)


@pytest.mark.covers("OBJ-03", "REV-04", "GEN-06", "REPO-10")
def test_a_chart_is_deployed_and_follows_its_range(here: Installation, charts: ChartHost) -> None:
    for version in ("17.9.0", "18.0.0", "18.1.0", "18.2.0-rc.1", "19.0.0"):
        charts.publish("redis", version)
    name = declared(here, source(charts.repository))
    assert here.status(name) == ("Synced", "Healthy")
    assert deployed(here) == ("18.1.0", "hello")
    assert here.app(name).revisions == ["18.1.0"]
    assert row(here, charts.repository).state == "ok"

    charts.publish("redis", "18.2.0", {"values.yaml": "greeting: newer\n"})
    fetch(here, charts.repository)
    assert deployed(here) == ("18.2.0", "newer")
    assert [each.revisions for each in here.syncs(name)] == [["18.2.0"], ["18.1.0"]]
    kept = history(here, name)
    assert [each.sources[0]["digest"][:7] for each in kept] == ["sha256:"] * 2
    assert kept[0].sources[0]["digest"] != kept[1].sources[0]["digest"]


@pytest.mark.covers("RFR-01")
def test_what_has_not_changed_costs_one_question(here: Installation, charts: ChartHost) -> None:
    for chart in ("redis", "web", "queue"):
        charts.publish(chart, "18.0.0")
    names = []
    for chart in ("redis", "web", "queue"):
        names += [here.declare(source=source(charts.repository, chart, releaseName=f"{chart}{n}")) for n in range(2)]
    here.settle()
    assert {here.status(name) for name in names} == {("Synced", "Healthy")}
    assert len([path for path in charts.paths() if path.endswith(".tgz")]) == 3, "each chart is pulled once"
    looked = {name: here.app(name).checked_at for name in names}

    charts.requests.clear()
    assert fetch(here, charts.repository) == 1
    assert charts.paths() == ["/charts/index.yaml"], "one question for six applications of three charts"

    charts.requests.clear()
    charts.publish("web", "18.0.1")
    fetch(here, charts.repository)
    assert sorted(charts.paths()) == ["/charts/index.yaml", "/charts/web-18.0.1.tgz"]
    changed = {name for name in names if here.app(name).checked_at != looked[name]}
    assert changed == set(names[2:4]), "only the applications of the chart that has a newer version"
    assert {tuple(here.app(name).revisions or ()) for name in names[2:4]} == {("18.0.1",)}


def test_a_long_look_keeps_no_push_waiting(small: Installation, charts: ChartHost) -> None:
    names = []
    for number in range(6):
        charts.publish(f"chart{number}", "18.0.0")
        names.append(small.declare(source=source(charts.repository, f"chart{number}", releaseName=f"r{number}")))
    number = row(small, charts.repository).id
    work.drain(small.edges, jobs.Queue.FAST, awake=0.2)
    assert charts.paths() == [], "a fast worker leaves a look at many charts to a slow one"
    small.settle()
    assert [small.app(name).revisions for name in names] == [["18.0.0"]] * 6

    for name in names[1:]:
        operate.remove(small.edges, name, "dana", cascade=False)
    small.hurry()
    charts.publish("chart0", "18.1.0")
    with small.store.write() as db:
        jobs.request_many(db, [fetch_request(number)])
    work.drain(small.edges, jobs.Queue.FAST, awake=0.2)
    assert charts.paths()[-1].endswith("chart0-18.1.0.tgz"), "a few charts are looked at without delay"


def test_a_look_ends_in_time_and_the_next_one_goes_on(small: Installation, charts: ChartHost) -> None:
    def pulled() -> list[str]:
        return [path.rpartition("/")[2] for path in charts.paths() if path.endswith(".tgz")]

    start = small.edges.now()
    small.edges = replace(small.edges, now=lambda: start + timedelta(seconds=25 * len(pulled())))
    numbers = range(7)
    for number in numbers:
        package(charts.directory, f"chart{number}", "18.0.0")
    charts.index()
    names = [small.declare(source=source(charts.repository, f"chart{n}", releaseName=f"r{n}")) for n in numbers]
    small.settle()
    assert [small.app(name).revisions for name in names] == [["18.0.0"]] * 7
    assert charts.paths().count("/charts/index.yaml") == 3, "a look of a minute has time for three"

    for number in numbers:
        package(charts.directory, f"chart{number}", "18.1.0")
    charts.index()
    for expected in (3, 6, 7):
        fetch(small, charts.repository)
        assert len(set(pulled())) == 7 + expected, "those that were left over come first"
        assert {tuple(small.app(name).revisions or ()) for name in names} <= {("18.0.0",), ("18.1.0",)}
    assert [small.app(name).revisions for name in names] == [["18.1.0"]] * 7


@pytest.mark.covers("RFR-02")
def test_a_hard_refresh_and_the_poll_ask_again(small: Installation, charts: ChartHost) -> None:
    charts.publish("redis", "18.0.0")
    name = declared(small, source(charts.repository))
    charts.publish("redis", "18.0.1")
    operate.refresh(small.edges, name, hard=True)
    small.settle()
    assert deployed(small)[0] == "18.0.1"

    charts.publish("redis", "18.0.2")
    with small.store.write() as db:
        db.execute(update(repository).values(fetched_at=small.clock() - 2 * small.edges.settings.poll_interval))
    tick.tick(small.edges)
    small.hurry(3)
    assert deployed(small)[0] == "18.0.2"


def test_a_failing_repository_keeps_what_there_was_and_is_told_of_once(here: Installation, charts: ChartHost) -> None:
    charts.publish("redis", "18.0.0")
    charts.publish("web", "18.0.0")
    names = [declared(here, source(charts.repository)), declared(here, source(charts.repository, "web"))]
    charts.publish("redis", "18.0.1")
    charts.answers["/charts/index.yaml"] = Answer(503)
    for _ in range(3):
        fetch(here, charts.repository)
    assert {here.status(name) for name in names} == {("Synced", "Healthy")}
    assert deployed(here)[0] == "18.0.0"
    failing = row(here, charts.repository)
    assert failing.state == "unreachable" and "503" in failing.message
    assert len(failing.charts or ()) == 2, "an error is not emptiness"
    assert [open_ for _, _, open_ in here.alerts("on-repository-unreachable")] == [True]

    # A rollback and a look need no repository.
    here.look(names[0], fresh=True)
    here.settle()
    assert here.status(names[0]) == ("Synced", "Healthy")

    charts.answers.clear()
    fetch(here, charts.repository)
    assert deployed(here)[0] == "18.0.1"
    assert [open_ for _, _, open_ in here.alerts("on-repository-unreachable")] == [False]
    assert [edge for edge, _ in here.told()].count("recover") == 1


def test_a_chart_whose_host_is_away_holds_up_no_other(here: Installation, charts: ChartHost) -> None:
    charts.publish("redis", "18.0.0")
    charts.publish("web", "1.0.0")
    redis = declared(here, source(charts.repository))
    web = declared(here, source(charts.repository, "web", "1.*"))
    charts.publish("redis", "18.1.0")
    charts.publish("web", "1.1.0")
    charts.answers["/charts/redis-18.1.0.tgz"] = Answer(503)
    fetch(here, charts.repository)
    assert deployed(here, "web")[0] == "1.1.0"
    assert deployed(here)[0] == "18.0.0" and here.status(redis) == ("Synced", "Healthy")
    failing = row(here, charts.repository)
    assert failing.state == "unreachable" and "redis-18.1.0.tgz: answered 503" in failing.message
    since = failing.failing_since
    fetch(here, charts.repository)
    assert row(here, charts.repository).failing_since == since, "the longer it lasts, the less often it is tried"

    new = declared(here, source(charts.repository, revision="18.1.0", releaseName="other"))
    assert "redis-18.1.0.tgz: answered 503" in str(here.conditions(new))
    charts.answers.clear()
    fetch(here, charts.repository)
    assert deployed(here)[0] == "18.1.0" and row(here, charts.repository).state == "ok"
    assert {here.status(each) for each in (redis, web, new)} == {("Synced", "Healthy")}
    assert [open_ for _, _, open_ in here.alerts("on-repository-unreachable")] == [False]


def test_a_rollback_needs_no_repository(here: Installation, charts: ChartHost) -> None:
    charts.publish("redis", "18.0.0")
    name = declared(here, source(charts.repository))
    charts.publish("redis", "18.0.1")
    fetch(here, charts.repository)
    assert deployed(here)[0] == "18.0.1"

    charts.stop()
    operate.rollback(here.edges, name, None, "dana", prune=True)
    here.settle()
    assert deployed(here)[0] == "18.0.0"
    assert (here.app(name).pin or {})["revision"] == "18.0.0"
    entries = history(here, name)
    assert [each.revisions for each in entries] == [["18.0.0"], ["18.0.1"], ["18.0.0"]]
    assert entries[0].sources[0]["digest"] == entries[2].sources[0]["digest"]
    here.look(name)
    here.settle()
    assert deployed(here)[0] == "18.0.0", "the pin holds"


@pytest.mark.covers("REV-04")
def test_what_no_version_satisfies_is_said_at_the_application_alone(here: Installation, charts: ChartHost) -> None:
    charts.publish("redis", "17.0.0")
    well = declared(here, source(charts.repository, revision="17.0.0"))
    wrong = declared(here, source(charts.repository, revision=">=18", releaseName="other"))
    missing = declared(here, source(charts.repository, "rediss", releaseName="third"))
    assert here.status(well) == ("Synced", "Healthy")
    assert row(here, charts.repository).state == "ok"
    assert not here.alerts("on-repository-unreachable")
    said = here.conditions(wrong)["ComparisonError"]
    assert said == f"{charts.repository}: chart redis: no version satisfies '>=18'; the nearest there are: 17.0.0"
    assert "chart rediss: the repository lists no version of it" in here.conditions(missing)["ComparisonError"]

    charts.publish("redis", "18.0.0")
    fetch(here, charts.repository)
    assert here.status(wrong) == ("Synced", "Healthy")
    assert "ComparisonError" not in here.conditions(wrong)


def test_a_version_that_is_published_again_is_noticed_and_said(here: Installation, charts: ChartHost) -> None:
    charts.publish("redis", "18.0.0")
    name = declared(here, source(charts.repository, revision="18.0.0"))
    charts.publish("redis", "18.0.0", {"values.yaml": "greeting: changed\n"})
    fetch(here, charts.repository)
    assert deployed(here) == ("18.0.0", "changed")
    assert here.conditions(name)["RepublishedWarning"].startswith(
        "chart redis 18.0.0 was published again: its content was sha256:"
    )
    assert len({each.sources[0]["digest"] for each in history(here, name)}) == 2

    charts.publish("redis", "18.0.1")
    name_ = declared(here, source(charts.repository, revision="18.0.1", releaseName="other"))
    assert "RepublishedWarning" not in here.conditions(name_)


def test_a_pinned_version_that_the_repository_drops_stays_deployed(small: Installation, charts: ChartHost) -> None:
    charts.publish("redis", "18.0.0")
    name = declared(small, source(charts.repository, revision="18.0.0"))
    (charts.directory / "redis-18.0.0.tgz").unlink()
    charts.publish("web", "1.0.0")
    fetch(small, charts.repository)
    small.look(name, fresh=True)
    small.settle()
    assert small.status(name) == ("Synced", "Healthy")
    assert not small.conditions(name)


@pytest.mark.covers("REV-05")
def test_another_version_is_planned_compared_and_deployed_on_request(here: Installation, charts: ChartHost) -> None:
    charts.publish("redis", "17.5.0", {"values.yaml": "greeting: older\n"})
    charts.publish("redis", "18.0.0")
    name = declared(here, source(charts.repository), automated=None)
    with pytest.raises(Permanent, match="is no version"):
        operate.request_sync(here.edges, name, SyncRequest("refs/heads/x y"), "dana")
    shown = inspect.plan(here.edges, name, "17.5.0")
    assert shown.revisions == ("17.5.0",) and not shown.empty
    assert "older" in inspect.diff(here.edges, name, "~17.0 || 17.*")[0].text
    with pytest.raises(Permanent, match=r"there is no version 17\.6\.0; the nearest there are: 17\.5\.0, 18\.0\.0"):
        inspect.plan(here.edges, name, "17.6.0")

    operate.request_sync(here.edges, name, SyncRequest("17.5.0"), "dana")
    here.settle()
    assert deployed(here) == ("17.5.0", "older")
    assert here.syncs(name)[0].revisions == ["17.5.0"]
    operate.request_sync(here.edges, name, SyncRequest(), "dana")
    here.settle()
    assert deployed(here) == ("18.0.0", "hello")


@pytest.mark.covers("REV-05")
def test_with_automation_another_version_is_refused(small: Installation, charts: ChartHost) -> None:
    charts.publish("redis", "18.0.0")
    name = declared(small, source(charts.repository))
    with pytest.raises(Permanent, match=r"cannot sync to 17\.0\.0: auto-sync currently set to 18\.\*"):
        operate.request_sync(small.edges, name, SyncRequest("17.0.0"), "dana")


@pytest.mark.covers("GEN-08", "GEN-15", "GEN-16")
def test_value_files_come_from_git(here: Installation, charts: ChartHost) -> None:
    charts.publish("redis", "18.0.0")
    here.push({"envs/prod/redis.yaml": "greeting: from git\n", "envs/prod/other.yaml": "x: 1\n"})
    chart = source(charts.repository, valueFiles=["$values/envs/prod/redis.yaml"])
    sources = [chart, {"repoURL": here.url, "targetRevision": "main", "ref": "values"}]
    name = here.declare(sources=sources, source=None)
    here.settle()
    assert here.status(name) == ("Synced", "Healthy")
    assert deployed(here) == ("18.0.0", "from git")
    looked = here.app(name).checked_at

    commit = here.push({"envs/prod/other.yaml": "x: 2\n"})
    here.fetch()
    here.settle()
    assert here.app(name).checked_at == looked, "a file that nobody reads concerns nobody"
    assert here.app(name).revisions == ["18.0.0", commit]

    commit = here.push({"envs/prod/redis.yaml": "greeting: changed\n"})
    here.fetch()
    here.settle()
    assert deployed(here) == ("18.0.0", "changed")
    charts.publish("redis", "18.1.0")
    fetch(here, charts.repository)
    assert deployed(here) == ("18.1.0", "changed")
    assert here.app(name).revisions == ["18.1.0", commit]
    assert history(here, name)[0].revisions == ["18.1.0", commit]


@pytest.mark.covers("REPO-02", "REPO-09", "REPO-10", "REV-04")
def test_charts_of_a_registry_with_a_login(here: Installation, oci: RegistryHost, tmp_path: Path) -> None:
    bare = f"{oci.address}/charts"
    for version in ("18.0.0", "18.1.0"):
        push(oci, tmp_path, "redis", version)
    wrong = access(oci.address + "/charts", password="wrong")
    with pytest.raises(Permanent, match="authentication failed"):
        registry.add_repository(here.edges, registry.Registration(wrong), "dana")
    template = registry.Registration(access(oci.address), template=True)
    registry.add_repository(here.edges, template, "dana")

    name = declared(here, source(bare))
    assert here.status(name) == ("Synced", "Healthy"), here.conditions(name)
    assert deployed(here)[0] == "18.1.0"
    assert row(here, bare).kind == "oci"
    same = declared(here, source(f"oci://{bare}", releaseName="same"))
    assert here.status(same) == ("Synced", "Healthy")
    with here.store.read() as db:
        found = [each for each in repositories.everything(db) if each.kind == "oci"]
    assert len(found) == 1, "with and without its scheme it is one registry"

    push(oci, tmp_path, "redis", "18.2.0")
    fetch(here, bare)
    assert deployed(here)[0] == "18.2.0"


@pytest.mark.covers("GEN-17")
def test_an_artifact_of_plain_manifests_is_deployed_and_followed_by_tag(here: Installation, oci: RegistryHost) -> None:
    url = f"oci://{oci.address}/bundles/shop"
    registry.add_repository(here.edges, registry.Registration(access(oci.address), template=True), "dana")
    first = push_artifact(oci, "bundles/shop", "stable", {"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare(source={"repoURL": url, "targetRevision": "stable", "path": "app"})
    here.settle()
    assert here.status(name) == ("Synced", "Healthy"), here.conditions(name)
    assert here.app(name).revisions == [first], "an artifact's revision is its digest"

    second = push_artifact(oci, "bundles/shop", "stable", {"app/all.yaml": manifests(config("one", a="2"))})
    fetch(here, url)
    found = here.config("one")
    assert found is not None and found["data"] == {"a": "2"}
    assert here.app(name).revisions == [second] and not here.conditions(name)
    operate.rollback(here.edges, name, None, "dana")
    here.settle()
    found = here.config("one")
    assert found is not None and found["data"] == {"a": "1"}


@pytest.mark.covers("GEN-17")
def test_a_chart_by_its_whole_url(small: Installation, oci: RegistryHost, tmp_path: Path) -> None:
    push(oci, tmp_path, "redis", "18.0.0")
    registry.add_repository(small.edges, registry.Registration(access(oci.address), template=True), "dana")
    whole = {"repoURL": f"oci://{oci.address}/charts/redis", "path": ".", "targetRevision": "18.*"}
    name = declared(small, {**whole, "helm": {"releaseName": "cache"}})
    assert small.status(name) == ("Synced", "Healthy"), small.conditions(name)
    assert small.app(name).revisions == ["18.0.0"] and deployed(small)[0] == "18.0.0"


@pytest.mark.covers("WH-08")
def test_a_registry_tells_of_a_push(here: Installation, oci: RegistryHost, tmp_path: Path) -> None:
    push(oci, tmp_path, "redis", "18.0.0")
    registered = registry.Registration(access(f"{oci.address}/charts"))
    registry.add_repository(here.edges, registered, "dana")
    declared(here, source(f"{oci.address}/charts"))
    push(oci, tmp_path, "redis", "18.1.0")

    def told(path: str, tag: str) -> int:
        push_ = Push(
            "harbor",
            "PUSH_ARTIFACT",
            random_name("d"),
            (f"oci://{oci.address}/{path}",),
            (RefChange(f"refs/tags/{tag}", RefAction.UPDATED),),
        )
        return len(receive.receive(here.edges, push_).job_ids)

    assert told("charts/web", "18.1.0") == 0, "nobody reads that chart"
    assert told("charts/redis", "19.0.0") == 0, "nobody follows that version"
    assert told("elsewhere/redis", "18.1.0") == 0
    assert told("charts/redis", "18.1.0") == 1
    here.settle()
    assert deployed(here)[0] == "18.1.0"


@pytest.mark.covers("REPO-10")
def test_credentials_belong_to_the_repository(small: Installation, tmp_path: Path) -> None:
    with ChartHost(tmp_path / "private", login=basic()) as charts:
        charts.publish("redis", "18.0.0")
        name = declared(small, source(charts.repository))
        assert "authentication failed" in small.conditions(name)["ComparisonError"]
        given = RepositoryAccess(charts.repository, kind="helm", username=USER, password=PASSWORD)
        registry.add_repository(small.edges, registry.Registration(given, name="private"), "dana")
        small.hurry(3)
        assert small.status(name) == ("Synced", "Healthy")
        assert PASSWORD not in small.dump()


def test_a_password_in_a_url_is_in_no_message(small: Installation, charts: ChartHost) -> None:
    charts.publish("redis", "18.0.0")
    url = charts.repository.replace("://", "://dana:hunter2@")
    name = declared(small, source(url, "rediss"))
    said = small.conditions(name)["ComparisonError"]
    assert said.startswith(f"{charts.repository}: chart rediss"), said
    charts.answers["/charts/index.yaml"] = Answer(503)
    fetch(small, url)
    with small.store.read() as db:
        told = db.execute(select(alert.c.facts)).scalars().all()
    assert charts.repository in str(told) and "hunter2" not in str(told)


def test_a_login_in_a_registered_url_is_sealed(small: Installation, tmp_path: Path) -> None:
    with ChartHost(tmp_path / "private", login=basic(USER, "hunter/2")) as charts:
        charts.publish("redis", "18.0.0")
        url = charts.repository.replace("://", f"://{USER}:hunter%2F2@")
        given = RepositoryAccess(url, kind="helm")
        for more in (replace(given, password="other"), replace(given, bearer_token="other")):
            with pytest.raises(Permanent, match="the URL holds a password") as raised:
                registry.add_repository(small.edges, registry.Registration(more), "dana")
            assert "hunter" not in raised.value.message
        registry.add_repository(small.edges, registry.Registration(given), "dana")
        assert row(small, charts.repository).credentials is not None
        name = declared(small, source(charts.repository))
        assert small.app(name).revisions == ["18.0.0"], small.conditions(name)
        git = RepositoryAccess("https://dana:hunter2@git.example.com/shop.git")
        registry.add_repository(small.edges, registry.Registration(git, check=False), "dana")
        assert row(small, "https://git.example.com/shop.git").credentials is not None
        assert "hunter" not in small.dump()


def test_a_url_is_of_one_kind_until_nobody_reads_it_as_such(small: Installation, charts: ChartHost) -> None:
    charts.publish("redis", "18.0.0")
    name = small.declare(source={"repoURL": charts.repository, "path": "redis"})
    assert row(small, charts.repository).kind == "git"
    with pytest.raises(Permanent, match="is a git repository; name a path of it and no chart"):
        declared(small, source(charts.repository, releaseName="other"))
    small.declare(name, source=source(charts.repository), upsert=True)
    small.settle()
    assert small.status(name) == ("Synced", "Healthy")
    with pytest.raises(Permanent, match="is a helm repository; name a chart of it"):
        small.declare(source={"repoURL": charts.repository, "path": "redis"})


def test_an_app_of_apps_brings_charts(here: Installation, charts: ChartHost) -> None:
    charts.publish("redis", "18.0.0")
    child = here.document(random_name("child"), automated=AUTOMATED, source=source(charts.repository))
    here.push({"app/apps.yaml": manifests(child)})
    parent = here.declare()
    here.settle()
    assert here.status(parent)[0] == "Synced"
    assert here.status(child["metadata"]["name"]) == ("Synced", "Healthy")
    child["spec"]["source"]["targetRevision"] = "~17"
    charts.publish("redis", "17.3.0")
    here.push({"app/apps.yaml": manifests(child)})
    here.fetch()
    here.settle()
    assert deployed(here)[0] == "17.3.0", "the child's own repository is asked for what nobody followed before"


def test_another_machine_pulls_what_it_does_not_hold(small: Installation, charts: ChartHost, tmp_path: Path) -> None:
    charts.publish("redis", "18.0.0")
    name = declared(small, source(charts.repository))
    charts.requests.clear()
    small.edges = replace(small.edges, charts=Charts(tmp_path / "second"))
    small.look(name, fresh=True)
    small.settle()
    assert small.status(name) == ("Synced", "Healthy")
    assert charts.paths() == ["/charts/index.yaml", "/charts/redis-18.0.0.tgz"]

    charts.publish("redis", "18.0.0", {"values.yaml": "greeting: changed\n"})
    small.edges = replace(small.edges, charts=Charts(tmp_path / "third"))
    small.look(name, fresh=True)
    small.settle()
    assert deployed(small) == ("18.0.0", "changed"), "content that nobody asked for is never taken for the old one"
    assert "RepublishedWarning" in small.conditions(name)


def test_a_chart_that_is_missing_makes_no_registry_unreachable(
    small: Installation, oci: RegistryHost, tmp_path: Path
) -> None:
    push(oci, tmp_path, "redis", "18.0.0")
    open_to_all = ["/v2/charts/redis/"]

    def reply(request: Request) -> Answer:
        if not request.path.startswith(tuple(open_to_all)):
            return Answer(401, b'{"errors": [{"code": "UNAUTHORIZED"}]}')
        url = f"http://{oci.address}{request.path}"
        found = httpx.request(
            request.method, url, headers={"accept": request.headers.get("accept", "*/*")}, auth=(USER, PASSWORD)
        )
        kept = {name: found.headers[name] for name in ("docker-content-digest",) if name in found.headers}
        return Answer(found.status_code, found.content, kept)

    with WebHost(reply) as host:
        url = f"oci://127.0.0.1:{host.port}/charts"
        public = RepositoryAccess(url, kind="oci", plain_http=True)
        registry.add_repository(small.edges, registry.Registration(public, check=False), "dana")
        missing = declared(small, source(url, "gone"))
        assert row(small, url).failing_since is not None, "nothing there answers"
        there = declared(small, source(url))
        assert deployed(small)[0] == "18.0.0", small.conditions(there)
        assert row(small, url).failing_since is None
        assert "authentication failed" in small.conditions(missing)["ComparisonError"]
        open_to_all.clear()
        open_to_all.append("/nothing")
        fetch(small, url)
        assert row(small, url).failing_since is not None, "no chart answers any more"
        assert deployed(small)[0] == "18.0.0" and small.status(there)[0] == "Synced"


def access(url: str, password: str = PASSWORD) -> RepositoryAccess:
    return RepositoryAccess(url, kind="oci", username=USER, password=password, plain_http=True)


def push_artifact(oci: RegistryHost, name: str, tag: str, files: Mapping[str, str]) -> str:
    """Push files as one layer, as `oras push` does; returns the manifest's digest."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    layer, settings = packed.getvalue(), b"{}"
    with httpx.Client(base_url=f"http://{oci.address}/v2/{name}/", auth=(USER, PASSWORD)) as client:
        for content in (layer, settings):
            place = client.post("blobs/uploads/").headers["location"]
            answer = client.put(place, params={**httpx.URL(place).params, "digest": sha256(content)}, content=content)
            assert answer.status_code == 201, answer.text
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.empty.v1+json",
                "digest": sha256(settings),
                "size": len(settings),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "digest": sha256(layer),
                    "size": len(layer),
                }
            ],
        }
        body = orjson.dumps(manifest)
        answer = client.put(f"manifests/{tag}", content=body, headers={"Content-Type": str(manifest["mediaType"])})
        assert answer.status_code == 201, answer.text
    return sha256(body)


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def push(oci: RegistryHost, folder: Path, name: str, version: str) -> None:
    """`helm push` as somebody who has a login."""
    login = ("--username", USER, "--password", PASSWORD)
    helm("push", str(package(folder, name, version)), f"oci://{oci.address}/charts", "--plain-http", *login)
