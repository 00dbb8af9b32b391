"""Nothing is deleted that nobody asked to delete: apps of apps, budget, held kinds, empty renders, foreign objects."""

import json
from typing import Any

import pytest

from deploy.demo.world import ApiError, World
from deploy.localcluster.localcluster import LocalCluster
from tests.kit.cluster import random_name
from tests.kit.world import Team, config_map, config_maps, exists, last_plan, steady, team, told, writes

AUTOMATED = {"automated": {"prune": True, "selfHeal": True}, "syncOptions": ["CreateNamespace=true"]}
MARK = "driftline.io/installation"


def _child(crew: Team, name: str, path: str) -> str:
    body = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "finalizers": ["resources-finalizer.argocd.argoproj.io"]},
        "spec": {
            "project": "default",
            "source": {"repoURL": crew.world.git.url(crew.name), "path": path, "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": crew.name},
            "syncPolicy": AUTOMATED,
        },
    }
    return json.dumps(body)


@pytest.mark.covers("OBJ-13")
def test_an_app_of_twenty_apps_and_the_child_that_git_drops(world: World, crew: Team) -> None:
    names = [f"{crew.name}-{n:02}" for n in range(20)]
    files = {f"apps/{name}.json": _child(crew, name, f"parts/{name}") for name in names}
    files |= {f"parts/{name}/cm.json": config_map(name, part=name) for name in names}
    crew.create("apps") if crew.push(files) else None
    for name in names:
        world.wait_status(name, patience=90)
    crew.wait()
    assert all(crew.data(name) == {"part": name} for name in names)
    parent = world.api.application(crew.name)["status"]
    assert parent["summary"]["isAppOfApps"] is True

    gone = names[7]
    crew.push({f"apps/{gone}.json": None})
    world.eventually(lambda: not exists(world, gone), 60, "the dropped child is gone")
    assert crew.data(gone) is None, "its objects went before it did"
    assert all(exists(world, name) for name in names if name != gone)
    assert all(crew.data(name) is not None for name in names if name != gone)

    with pytest.raises(ApiError, match="remove it there, in Git"):
        world.api.call("DELETE", f"/api/v1/applications/{names[0]}?cascade=true")
    crew.delete()
    assert not any(exists(world, name) for name in names)
    assert crew.hands.select("v1/configmaps", crew.name, MARK) == []


def _held(world: World, app: str) -> Any:
    ours = world.api.application(app)["status"]["driftline"].get("sync") or {}
    return ours if ours.get("phase") == "Held" else None


def test_a_deletion_over_budget_waits_for_a_person(world: World, crew: Team) -> None:
    crew.push(config_maps(30))
    crew.create()
    crew.wait()
    crew.push({f"app/{n:03}.json": None for n in range(25)})
    held = world.eventually(lambda: _held(world, crew.name), 30, "the plan is held")
    assert len(held["held"]) == 25
    assert len(crew.hands.select("v1/configmaps", crew.name, MARK)) == 30
    operation = crew.operation()
    assert "25 of 30 objects would be deleted, more than the budget of 20" in operation["message"], operation["message"]
    [alert] = world.eventually(lambda: told(world, crew.name, "waits for a person"), 20, "people are asked")
    assert "25 of 30" in alert
    steady(lambda: len(crew.hands.select("v1/configmaps", crew.name, MARK)) == 30, 2)

    with pytest.raises(ApiError, match="has changed since it was shown"):
        world.api.post(f"/api/v1/applications/{crew.name}/plan/approve", {"digest": "0" * 32})
    world.api.post(f"/api/v1/applications/{crew.name}/plan/approve", {"digest": held["plan"]})
    world.eventually(lambda: len(crew.hands.select("v1/configmaps", crew.name, MARK)) == 5, 30, "25 are deleted")
    crew.wait()
    acts = world.api.get(f"/api/v1/audit?subject=app:{crew.name}")["items"]
    assert "app.approve" in {each["action"] for each in acts}
    crew.delete()


def test_namespaces_crds_and_claims_are_held(world: World, crew: Team) -> None:
    group = f"{crew.name}.example.com"
    namespace = random_name("extra")
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": "Widget", "plural": "widgets"},
            "scope": "Namespaced",
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
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "annotations": {"argocd.argoproj.io/ignore-healthcheck": "true"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    kinds = {"app/crd.json": json.dumps(crd), "app/claim.json": json.dumps(claim), "app/ns.json": json.dumps(space)}
    crew.push({**kinds, "app/cm.json": config_map("stays")})
    crew.create()
    crew.wait()
    crew.push(dict.fromkeys(kinds))
    held = world.eventually(lambda: _held(world, crew.name), 30, "the plan is held")
    assert {key.split("/")[1] for key in held["held"]} == {
        "Namespace",
        "CustomResourceDefinition",
        "PersistentVolumeClaim",
    }
    steady(lambda: crew.hands.get("v1/namespaces", "", namespace)["status"]["phase"] == "Active", 1)  # type: ignore[index]
    assert crew.hands.get("v1/persistentvolumeclaims", crew.name, "data") is not None

    crew.push(kinds)
    world.eventually(lambda: _held(world, crew.name) is None, 30, "Git has them again: nothing is held any more")
    crew.wait()
    crew.delete()
    world.eventually(lambda: crew.hands.get("v1/namespaces", "", namespace) is None, 30, "the empty namespace goes")
    definition = crew.hands.get("apiextensions.k8s.io/v1/customresourcedefinitions", "", f"widgets.{group}")
    assert definition is not None, "a definition outlives its application"
    crew.hands.delete("apiextensions.k8s.io/v1/customresourcedefinitions", "", f"widgets.{group}")


def test_a_namespace_with_things_of_others_outlives_its_application(world: World, crew: Team) -> None:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": crew.name}}
    crew.push({"app/ns.json": json.dumps(space), "app/cm.json": config_map("ours")})
    crew.create()
    crew.wait()
    crew.hands.create("v1/configmaps", crew.name, {"metadata": {"name": "foreign"}, "data": {"a": "b"}})
    crew.delete()
    assert crew.data("ours") is None and crew.data("foreign") == {"a": "b"}
    found = crew.hands.get("v1/namespaces", "", crew.name)
    assert found is not None and "deletionTimestamp" not in found["metadata"]


def test_an_empty_render_deletes_nothing(world: World, crew: Team) -> None:
    crew.push(config_maps(3))
    crew.create()
    crew.wait()
    crew.push({**{f"app/{n:03}.json": None for n in range(3)}, "app/README.md": "nothing here any more\n"})
    world.eventually(lambda: "will wipe out all resources" in crew.conditions(), 30, "it says why it does nothing")
    crew.sync(prune=True)
    world.eventually(lambda: crew.operation().get("phase") == "Failed", 30, "a person's sync is refused as well")
    assert "Git holds no objects where there were 3; set allowEmpty if that is meant" in crew.operation()["message"]
    steady(lambda: len(crew.hands.select("v1/configmaps", crew.name, MARK)) == 3, 1)
    crew.push({"app/000.json": config_map("cm-000", value="again")})
    world.eventually(lambda: crew.data("cm-001") is None and crew.data("cm-002") is None, 30, "two are pruned")
    assert crew.data("cm-000") == {"value": "again"}
    crew.delete()


def test_objects_of_others_are_never_deleted(world: World, cluster: LocalCluster, crew: Team) -> None:
    crew.push(config_maps(4))
    crew.create(syncPolicy={"automated": {"prune": True}, "syncOptions": ["CreateNamespace=true"]})
    crew.wait()
    hand = crew.hands
    hand.create("v1/configmaps", crew.name, {"metadata": {"name": "foreign"}, "data": {"a": "b"}})
    tracking = "argocd.argoproj.io/tracking-id"
    unmark = {"metadata": {"labels": {MARK: None}, "annotations": {tracking: None}}}
    hand.merge_patch("v1/configmaps", crew.name, "cm-001", unmark)
    hand.delete("v1/configmaps", crew.name, "cm-002")
    hand.create("v1/configmaps", crew.name, {"metadata": {"name": "cm-002"}, "data": {"somebody": "else"}})
    mark = cluster.audit_mark()
    commit = crew.push({f"app/{n:03}.json": None for n in (1, 2, 3)})
    world.eventually(lambda: crew.data("cm-003") is None, 30, "the one that is ours is pruned")
    world.eventually(lambda: crew.operation().get("finishedAt"), 30, "the sync ends")
    assert crew.operation()["syncResult"]["revision"] == commit
    deleted = {each.name for each in writes(cluster.audit(mark), crew.name) if each.verb == "delete"}
    assert deleted == {"cm-003"}
    assert crew.data("cm-001") == {"value": "1"} and crew.data("cm-002") == {"somebody": "else"}
    said = "\n".join(last_plan(world, crew.name)["warnings"])
    assert "no longer carries this application's mark and is not deleted" in said, said
    assert "was deleted and created again by others" in said, said
    crew.delete()
    assert crew.data("cm-000") is None
    assert crew.data("foreign") == {"a": "b"} and crew.data("cm-002") == {"somebody": "else"}


def test_two_applications_that_claim_one_object(world: World, cluster: LocalCluster, crew: Team) -> None:
    other = team(world, cluster, "rival")
    crew.push({"app/shared.json": config_map("shared", owner="first"), "app/own.json": config_map("own", a="1")})
    crew.create()
    crew.wait()
    body = json.loads(config_map("shared", owner="second"))
    body["metadata"]["namespace"] = crew.name
    other.push({"app/shared.json": json.dumps(body), "app/theirs.json": config_map("theirs", b="2")})
    other.create(namespace=crew.name, syncPolicy=AUTOMATED)
    named = world.eventually(
        lambda: crew.name in other.operation().get("message", "") and other.operation(), 30, "the second is told"
    )
    assert f"ConfigMap/{crew.name}/shared belongs to application {crew.name}" in named["message"], named["message"]
    world.eventually(lambda: crew.data("theirs") == {"b": "2"}, 30, "the rest of the second goes on")
    mark = cluster.audit_mark()
    world.api.get(f"/api/v1/applications/{crew.name}?refresh=hard")
    world.api.get(f"/api/v1/applications/{other.name}?refresh=hard")
    steady(lambda: crew.data("shared") == {"owner": "first"}, 3)
    assert [each for each in writes(cluster.audit(mark), crew.name) if each.name == "shared"] == []
    crew.wait()
    other.delete()
    assert crew.data("shared") == {"owner": "first"} and crew.data("theirs") is None
    crew.delete()
