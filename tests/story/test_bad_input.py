"""Bad input is answered with what is wrong, where, and what to do; nothing else of it is lost, nothing is half done."""

import json

import pytest

from deploy.demo.world import ApiError, World
from deploy.localcluster.localcluster import LocalCluster
from tests.kit.cluster import random_name
from tests.kit.world import Team, config_map, in_order, team, told

GOOD = {"app/good.json": config_map("good", a="1")}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 80}]},
}


def _said(crew: Team) -> str:
    """Everything that the application's page says of its trouble."""
    return f"{crew.conditions()}\n{crew.operation().get('message', '')}"


def _says(crew: Team, *words: str) -> str:
    """Until it says all the words, in this order; returns the line with them."""

    def line() -> str:
        return next((each for each in _said(crew).splitlines() if in_order(list(words), each)), "")

    try:
        return str(crew.world.eventually(line, 30, f"it says {words}"))
    except AssertionError:
        raise AssertionError(f"wanted {words}, it says:\n{_said(crew)}") from None


BROKEN = {
    "wrong YAML": (
        "app/bad.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x\ndata: {a: '1'}\n",
        ("app/bad.yaml:4",),
    ),
    "duplicate key": (
        "app/bad.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  a: '1'\n  a: '2'\n",
        ("app/bad.yaml:6", 'duplicate key "a"', "line 5"),
    ),
    "no name": ("app/bad.yaml", "apiVersion: v1\nkind: ConfigMap\ndata: {a: '1'}\n", ("app/bad.yaml", "metadata.name")),
    "unknown kind": (
        "app/bad.yaml",
        "apiVersion: nowhere.example.com/v1\nkind: Gizmo\nmetadata: {name: x}\n",
        ("Gizmo", "CRD"),
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file(what: str, world: World, crew: Team) -> None:
    file, content, words = BROKEN[what]
    crew.push(GOOD)
    crew.create()
    crew.wait()
    crew.push({file: content})
    _says(crew, *words)
    assert crew.data("good") == {"a": "1"}, "what was there stays"
    commit = crew.push({file: None, "app/good.json": config_map("good", a="2")})
    crew.deployed(commit)
    crew.delete()


def test_a_missing_path(world: World, crew: Team) -> None:
    commit = crew.push(GOOD)
    crew.create("nowhere")
    _says(crew, "nowhere", "app path does not exist", commit[:12])
    crew.push({"nowhere/cm.json": config_map("found", a="1")})
    world.eventually(lambda: crew.data("found"), 30, "it works once the path is there")
    crew.delete()


def test_a_helm_error(world: World, crew: Team) -> None:
    chart = {
        "app/Chart.yaml": "apiVersion: v2\nname: broken\nversion: 0.1.0\n",
        "app/templates/cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n"
        '  name: {{ required "set .name" .Values.name }}\n',
    }
    crew.push(chart)
    crew.create()
    _says(crew, "templates/cm.yaml", "4", "set .name")
    commit = crew.push({"app/values.yaml": "name: fine\n"})
    crew.deployed(commit)
    crew.delete()


def test_an_unreachable_host_and_a_wrong_password(world: World, cluster: LocalCluster, crew: Team) -> None:
    crew.push(GOOD)
    crew.create(source={"repoURL": "http://127.0.0.1:9/none.git"})
    _says(crew, "127.0.0.1:9", "refused")
    crew.delete()
    other = team(world, cluster, "locked")
    other.push(GOOD)
    world.git.username, world.git.password = "robot", "the-right-one"
    try:
        body = {"repo": world.git.url(other.name), "username": "robot", "password": "a-wrong-password"}
        with pytest.raises(ApiError, match=f"{other.name}.git: authentication failed; check the credentials") as bad:
            world.api.post("/api/v1/repositories", body)
        assert "a-wrong-password" not in str(bad.value)
        other.create()
        assert "authentication failed" in _says(other, other.name, "credentials")
        body["password"] = "the-right-one"
        world.api.post("/api/v1/repositories?upsert=true", body)
        other.wait()
    finally:
        world.git.username = world.git.password = ""
    other.delete()


def test_a_repository_without_commits(world: World, crew: Team) -> None:
    crew.create()
    _says(crew, crew.name, "no commits yet", "push one to main")
    commit = crew.push(GOOD)
    crew.deployed(commit)
    crew.delete()


def test_an_immutable_field(world: World, crew: Team) -> None:
    crew.push({"app/service.json": json.dumps(SERVICE)})
    crew.create()
    crew.wait()
    changed = {**SERVICE, "spec": {**SERVICE["spec"], "clusterIP": "10.96.200.200"}}  # type: ignore[dict-item]
    crew.push({**GOOD, "app/service.json": json.dumps(changed)})
    _says(crew, f"Service/{crew.name}/web", "spec.clusterIP", "cannot change", "recreate")
    world.eventually(lambda: crew.data("good") == {"a": "1"}, 30, "the other objects are applied")
    crew.delete()


def test_what_an_admission_policy_refuses(world: World, crew: Team) -> None:
    name = random_name("no-latest")
    policy = {
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": crew.name}},
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["configmaps"],
                    }
                ],
            },
            "validations": [{"expression": "object.data.a != 'latest'", "message": "pin the version"}],
        },
    }
    kind = "admissionregistration.k8s.io/v1/validatingadmissionpolic"
    crew.hands.create(f"{kind}ies", "", policy)
    binding = {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}}
    crew.hands.create(f"{kind}ybindings", "", binding)
    try:
        crew.push(GOOD)
        crew.create()
        crew.wait()
        world.eventually(lambda: _refuses(crew), 20, "the policy is in force")
        crew.push({"app/good.json": config_map("good", a="latest")})
        _says(crew, f"ConfigMap/{crew.name}/good", name, "pin the version")
        assert crew.data("good") == {"a": "1"}
        [alert] = world.eventually(lambda: told(world, crew.name, "sync failed"), 20, "people hear of it")
        assert "pin the version" in alert
    finally:
        crew.hands.delete(f"{kind}ybindings", "", name)
        crew.hands.delete(f"{kind}ies", "", name)
    commit = crew.push({"app/good.json": config_map("good", a="2")})
    crew.deployed(commit)
    crew.delete()


def _refuses(crew: Team) -> bool:
    from tests.kit.cluster import Refused

    try:
        crew.hands.create("v1/configmaps", crew.name, {"metadata": {"name": "probe"}, "data": {"a": "latest"}})
    except Refused:
        return True
    crew.hands.delete("v1/configmaps", crew.name, "probe")
    return False


def test_a_namespace_that_is_being_deleted(world: World, crew: Team) -> None:
    hold = {"metadata": {"name": crew.name}}
    crew.hands.create("v1/namespaces", "", hold)
    kept = {"metadata": {"name": "kept", "finalizers": ["example.com/wait"]}, "data": {}}
    crew.hands.create("v1/configmaps", crew.name, kept)
    crew.hands.delete("v1/namespaces", "", crew.name)
    crew.push(GOOD)
    crew.create()
    _says(crew, f"ConfigMap/{crew.name}/good", f"namespace {crew.name} is being deleted", "wait until it is gone")
    crew.hands.merge_patch("v1/configmaps", crew.name, "kept", {"metadata": {"finalizers": None}})
    world.eventually(lambda: crew.data("good") == {"a": "1"}, 60, "it is made again once the old one is gone")
    crew.delete()


def test_an_object_over_the_size_limit(world: World, crew: Team) -> None:
    crew.push({**GOOD, "app/big.json": config_map("big", a="x" * 1_600_000)})
    crew.create()
    _says(crew, f"ConfigMap/{crew.name}/big", "larger than the API server accepts", "split it")
    world.eventually(lambda: crew.data("good") == {"a": "1"}, 30, "the other objects are applied")
    crew.delete()
