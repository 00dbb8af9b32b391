"""A push becomes objects in the cluster, once, and only of the applications that it concerns."""

import pytest

from driftline.adapters.store import applications, jobs
from driftline.flow import operate, planmaking
from driftline.flow.operate import SyncRequest
from driftline.model.errors import Permanent, Temporary
from tests.flow.installation import Installation, config, deployment, hook, manifests
from tests.kit.cluster import eventually, random_name
from tests.kit.databases import count_statements


@pytest.mark.covers("AUTO-01")
def test_a_push_is_applied_and_recorded(here: Installation) -> None:
    first = here.push({"app/all.yaml": manifests(config("one", a="1"), config("two", b="2"))})
    name = here.declare()
    here.settle()
    assert here.status(name) == ("Synced", "Healthy")
    assert here.owned(name) == {f"/ConfigMap/{here.namespace}/one", f"/ConfigMap/{here.namespace}/two"}

    second = here.push({"app/all.yaml": manifests(config("one", a="2"), config("two", b="2"))})
    here.fetch()
    mark = here.local.audit_mark()
    here.settle()
    found = here.config("one")
    assert found is not None and found["data"] == {"a": "2"}
    writes = [entry for entry in here.local.audit(mark) if entry.user == "driftline" and entry.verb == "patch"]
    assert len(writes) == 1, "one object changed, so one write"
    assert here.phases(name) == [("git", "Succeeded")] * 2
    assert [each.revisions for each in here.syncs(name)] == [[second], [first]]


@pytest.mark.covers("WH-05", "WH-06")
def test_a_commit_costs_only_the_application_that_it_touches(here: Installation) -> None:
    here.push({f"app{n}/all.yaml": manifests(config(f"conf{n}", a="1")) for n in range(5)})
    names = [here.declare(path=f"app{n}") for n in range(5)]
    here.settle()
    assert {here.status(name) for name in names} == {("Synced", "Healthy")}
    looked = {name: here.app(name).checked_at for name in names}

    commit = here.push({"app3/all.yaml": manifests(config("conf3", a="2"))})
    here.fetch()
    requests = len(here.host.requests)
    assert here.settle() == 2, "one fetch, one look"
    assert here.app(names[3]).checked_at != looked[names[3]]
    assert all(here.app(name).checked_at == looked[name] for name in names if name != names[3])
    assert {tuple(here.app(name).revisions or ()) for name in names} == {(commit,)}, "all are known to be at the commit"
    assert sum("info/refs" in each.path for each in here.host.requests[requests:]) == 1


def test_one_small_application_stays_within_its_budget(small: Installation) -> None:
    objects = {f"app{n}/all.yaml": manifests(*(config(f"conf{n}-{i}", a="1") for i in range(4))) for n in range(2)}
    small.push(objects)
    first = small.declare(path="app0")
    small.settle()
    assert small.status(first) == ("Synced", "Healthy")
    small.hints.clear()
    mark = small.local.audit_mark()
    name = small.declare(path="app1")
    with count_statements(small.edges.store.engine) as seen:
        small.settle(rounds=1)
    assert small.status(name) == ("Synced", "Healthy")
    calls = [entry for entry in small.local.audit(mark) if entry.user == "driftline" and small.namespace in entry.uri]
    assert [entry.verb for entry in calls] == ["patch"] * 4, "one write for each object, and nothing read"
    assert len(small.hints) <= 2
    # Looks for due jobs are shared by all that run at the time, and the fetch by all of a repository.
    looks = [sql for sql in seen.sql if sql.startswith("SELECT job.id")]
    fetch = [sql for sql in seen.sql if "UPDATE repository" in sql]
    assert 0 < seen.transactions - len(looks) - 4 * len(fetch) <= 6, seen.sql
    assert 0 < len(seen) - len(looks) - 6 * len(fetch) <= 20, seen.sql


def test_a_look_at_an_unchanged_application_asks_the_cluster_nothing(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare()
    here.settle()
    mark = here.local.audit_mark()
    here.look(name)
    with count_statements(here.edges.store.engine) as seen:
        here.settle(rounds=1)
    assert not [entry for entry in here.local.audit(mark) if entry.user == "driftline"]
    assert 0 < len(seen) <= 16, seen.sql


def test_a_rollout_is_followed_without_waiting_for_it(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(deployment("web"))})
    name = here.declare()
    here.settle()
    assert here.status(name)[0] == "Synced"
    assert here.phases(name) == [("git", "Succeeded")]

    def healthy() -> bool:
        here.look(name)
        here.settle()
        return here.status(name) == ("Synced", "Healthy")

    # No watch runs here: looks alone see the rollout end.
    eventually(healthy, 30)


def test_a_namespace_and_a_kind_may_arrive_with_their_objects(here: Installation) -> None:
    group, space = f"{random_name('g')}.example.com", random_name("flow-own")
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    },
                }
            ],
        },
    }
    widget = {
        "apiVersion": f"{group}/v1",
        "kind": "Widget",
        "metadata": {"name": "one", "namespace": space},
        "spec": {"size": 1},
    }
    ours = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}
    inside = {**config("one", a="1"), "metadata": {"name": "one", "namespace": space}}
    here.push({"app/all.yaml": manifests(widget, inside, definition, ours)})
    name = here.declare()

    def arrived() -> bool:
        here.look(name)
        here.hurry(3)
        return here.status(name) == ("Synced", "Healthy")

    try:
        eventually(arrived, 30)
        assert here.phases(name) == [("git", "Succeeded")], "one sync, no failed attempt"
        assert [each.retry_count for each in here.syncs(name)] == [0]
        assert here.hands.get(f"{group}/v1/widgets", space, "one")
    finally:
        here.hands.delete("apiextensions.k8s.io/v1/customresourcedefinitions", "", f"widgets.{group}")
        here.hands.delete("v1/namespaces", "", space)


def test_the_destinations_namespace_is_made_on_request_and_is_nobodys(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    space = random_name("flow-made")
    where = {"server": "https://kubernetes.default.svc", "namespace": space}
    name = here.declare(destination=where, options=["CreateNamespace=true"])
    try:

        def arrived() -> bool:
            here.hurry(3)
            return here.status(name) == ("Synced", "Healthy")

        eventually(arrived, 15)
        assert here.owned(name) == {f"/ConfigMap/{space}/one"}
        assert here.hands.get("v1/configmaps", space, "one")
    finally:
        here.hands.delete("v1/namespaces", "", space)


def test_a_missing_namespace_is_named_and_nothing_is_half_recorded(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    space = random_name("nowhere")
    name = here.declare(
        destination={"server": "https://kubernetes.default.svc", "namespace": space}, retry={"limit": 0}, automated={}
    )
    here.settle()
    assert here.phases(name) == [("git", "Failed")]
    assert space in here.syncs(name)[0].message
    assert ("on-sync-failed", f"app:{name}", True) in here.alerts()
    assert not here.quarantined()


def test_a_wrong_manifest_is_said_and_the_next_good_commit_ends_the_trouble(here: Installation) -> None:
    here.push({"app/all.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one\n"})
    name = here.declare()
    here.settle()
    assert here.status(name)[0] == "Unknown"
    assert "all.yaml" in here.conditions(name)["ComparisonError"]
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    here.fetch()
    here.settle()
    assert here.status(name) == ("Synced", "Healthy")
    assert "ComparisonError" not in here.conditions(name)
    assert ("on-sync-status-unknown", f"app:{name}", False) in here.alerts()


@pytest.mark.covers("SYNC-02")
def test_hooks_run_around_the_objects_and_go_when_they_have_succeeded(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(hook("before", "PreSync"), hook("after", "PostSync"), config("one", a="1"))})
    name = here.declare()

    def done() -> bool:
        here.hurry(3)
        return here.phases(name) == [("git", "Succeeded")]

    eventually(done, 60)
    assert here.owned(name) == {f"/ConfigMap/{here.namespace}/one"}, "hooks are nobody's property"
    eventually(lambda: here.hands.get("batch/v1/jobs", here.namespace, "before") is None)
    assert {each["key"] for each in here.syncs(name)[0].results["hooks"]} == {
        f"batch/Job/{here.namespace}/before",
        f"batch/Job/{here.namespace}/after",
    }


def test_a_hook_never_deletes_a_strangers_object_of_its_name(here: Installation) -> None:
    stranger = {**hook("migrate", "PreSync"), "metadata": {"name": "migrate"}}
    made = here.hands.create("batch/v1/jobs", here.namespace, stranger)
    here.push({"app/all.yaml": manifests(hook("migrate", "PreSync", "BeforeHookCreation"), config("one", a="1"))})
    name = here.declare(automated={}, retry={"limit": 0})
    here.hurry()
    assert here.phases(name) == [("git", "Failed")]
    assert "is no hook of this application" in here.syncs(name)[0].message
    there = here.hands.get("batch/v1/jobs", here.namespace, "migrate")
    assert there is not None and there["metadata"]["uid"] == made["metadata"]["uid"]


def test_a_dry_run_writes_nothing_and_ends(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"), config("two", b="2"))})
    name = here.declare(automated=None)
    here.settle()
    operate.request_sync(here.edges, name, SyncRequest(), "dana")
    here.settle()
    child = here.document(random_name("child"), "child")
    here.push({"app/all.yaml": manifests(config("one", a="2"), hook("before", "PreSync"), child)})
    operate.request_sync(here.edges, name, SyncRequest(dry_run=True, prune=True), "dana")
    mark = here.local.audit_mark()
    here.settle()
    assert here.phases(name)[0] == ("manual", "Succeeded")
    assert "prune" in here.syncs(name)[0].plan_view["text"]
    found = here.config("one")
    assert found is not None and found["data"] == {"a": "1"} and here.config("two")
    assert here.find(child["metadata"]["name"]) is None
    writes = [each for each in here.local.audit(mark) if each.user == "driftline" and each.verb in ("create", "patch")]
    assert all("dryRun=All" in each.uri for each in writes)


def test_a_person_gets_the_newest_commit_though_no_webhook_came(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare(automated=None)
    here.settle()
    assert here.status(name)[0] == "OutOfSync" and here.config("one") is None, "without automation nothing is written"
    here.push({"app/all.yaml": manifests(config("one", a="2"))})
    operate.request_sync(here.edges, name, SyncRequest(), "dana")
    here.settle()
    found = here.config("one")
    assert found is not None and found["data"] == {"a": "2"}
    assert here.phases(name) == [("manual", "Succeeded")]
    assert here.syncs(name)[0].initiated_by == "dana"


def test_a_person_syncs_to_a_branch_that_nobody_follows(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare(automated=None)
    here.settle()
    here.tree.branch("trial")
    here.push({"app/all.yaml": manifests(config("one", a="trial"))})
    here.tree.branch("main")
    operate.request_sync(here.edges, name, SyncRequest(revision="trial"), "dana")
    here.settle()
    found = here.config("one")
    assert found is not None and found["data"] == {"a": "trial"}, here.syncs(name)[0].message


def test_a_second_operation_and_an_unknown_application_are_refused(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    name = here.declare(automated=None)
    operate.request_sync(here.edges, name, SyncRequest(), "dana")
    with pytest.raises(Permanent, match="another operation is already in progress"):
        operate.request_sync(here.edges, name, SyncRequest(), "eve")
    with pytest.raises(Permanent, match="does not exist"):
        operate.request_sync(here.edges, "nobody", SyncRequest(), "dana")


def test_an_object_that_belongs_to_another_application_is_named_and_left_alone(here: Installation) -> None:
    here.push(
        {
            "app/all.yaml": manifests(config("shared", a="1")),
            "rival/all.yaml": manifests(config("shared", a="2"), config("own", b="1")),
        }
    )
    name = here.declare()
    here.settle()
    rival = here.declare(path="rival", automated={}, retry={"limit": 0})
    here.settle()
    found, own = here.config("shared"), here.config("own")
    assert found is not None and found["data"] == {"a": "1"}
    assert own is not None, "the rest of the second one is applied"
    assert f"belongs to application {name}" in here.syncs(rival)[0].message
    assert here.owned(rival) == {f"/ConfigMap/{here.namespace}/own"}


def test_no_plan_is_stored_that_holds_what_belongs_to_another(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = manifests(config("shared", a="1"))
    here.push({"app/all.yaml": shared, "rival/all.yaml": shared})
    here.declare()
    here.settle()

    def dies(*_: object) -> None:
        raise Temporary("killed before the plan was made anew")

    monkeypatch.setattr(planmaking, "_others", dies)
    rival = here.declare(path="rival")
    here.settle()
    assert "killed" in here.conditions(rival)["ComparisonError"]
    assert here.syncs(rival) == [] and here.owned(rival) == set()


@pytest.mark.covers("OBJ-13")
def test_an_app_of_apps_declares_its_children_and_one_wrong_child_stops_no_other(here: Installation) -> None:
    good, bad = random_name("good"), random_name("bad")
    wrong = here.document(bad, "child", project="nobody-made-this")
    here.push(
        {
            "parent/apps.yaml": manifests(here.document(good, "child", automated={}), wrong),
            "child/all.yaml": manifests(config("one", a="1")),
        }
    )
    parent = here.declare(path="parent", retry={"limit": 0})
    here.settle()
    assert here.status(good) == ("Synced", "Healthy")
    assert here.find(bad) is None
    assert "project 'nobody-made-this' does not exist" in here.syncs(parent)[0].message
    assert not here.quarantined(), "a wrong child is the child's trouble"
    with here.store.read() as db:
        assert [each.name for each in applications.children(db, here.app(parent).id)] == [good]


def test_a_replaced_object_is_made_again_in_the_same_sync(here: Installation) -> None:
    fixed = {**config("one", a="1"), "immutable": True}
    here.push({"app/all.yaml": manifests(fixed)})
    name = here.declare(automated=None)
    here.settle()
    operate.request_sync(here.edges, name, SyncRequest(), "dana")
    here.settle()
    here.push({"app/all.yaml": manifests({**fixed, "data": {"a": "2"}})})
    operate.request_sync(here.edges, name, SyncRequest(force=True), "dana")
    here.settle()
    found = here.config("one")
    assert found is not None and found["data"] == {"a": "2"}
    assert here.phases(name)[0] == ("manual", "Succeeded")


def test_a_wrong_revision_of_one_application_is_no_trouble_of_the_repositorys_others(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    source = {"repoURL": here.url, "path": "app", "targetRevision": "no such branch"}
    with pytest.raises(Permanent, match="targetRevision"):
        here.declare(source=source)
    missing = here.declare(source={**source, "targetRevision": "not-there"})
    name = here.declare()
    here.settle()
    assert here.status(name) == ("Synced", "Healthy")
    assert here.status(missing)[0] == "Unknown" and "not-there" in here.conditions(missing)["ComparisonError"]
    with here.store.read() as db:
        assert not jobs.quarantined(db)
