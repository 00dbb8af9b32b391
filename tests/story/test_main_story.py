"""The story of the demo: push, plan, rollout, a hand edit, its alert, its repair, a rollback, the end."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.demo.world import World
from deploy.localcluster.localcluster import LocalCluster
from tests.kit.world import Team, exists, in_order, kubectl, last_plan, mail_texts, steady, team, told

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
        - name: web
          image: registry.example/web:1
          ports: [{containerPort: 8080}]
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""
KUSTOMIZE = {
    "base/kustomization.yaml": "resources: [deployment.yaml, service.yaml]\n",
    "base/deployment.yaml": DEPLOYMENT,
    "base/service.yaml": SERVICE,
    "production/kustomization.yaml": """
resources: [../base]
images:
  - name: registry.example/web
    newTag: "1.0"
configMapGenerator:
  - name: settings
    literals: [colour=blue]
generatorOptions: {disableNameSuffixHash: true}
""",
}
CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: api\nversion: 0.1.0\n",
    "chart/values.yaml": "replicas: 1\ntag: '1'\ngreeting: hello\n",
    "chart/production.yaml": "replicas: 2\n",
    "chart/templates/deployment.yaml": """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-api
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {app: api}
  template:
    metadata:
      labels: {app: api}
    spec:
      containers:
        - name: api
          image: "registry.example/api:{{ .Values.tag }}"
""",
    "chart/templates/settings.yaml": """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-settings
data:
  greeting: {{ .Values.greeting | quote }}
""",
}
BY_HAND = {"automated": {"prune": True}, "syncOptions": ["CreateNamespace=true"]}
"""Automated, but what somebody changed in the cluster waits for a person."""


@pytest.mark.covers("OBJ-05")
def test_kustomize_from_push_to_end(world: World, cluster: LocalCluster, crew: Team) -> None:
    first = crew.push(KUSTOMIZE, "the first version")
    crew.create("production", syncPolicy=BY_HAND)
    crew.wait()
    crew.deployed(first)
    assert _image(crew, "web") == "registry.example/web:1.0"
    assert _ready(crew, "web") == 2
    [mine] = [each for each in world.api.get("/api/v1/applications")["items"] if each["metadata"]["name"] == crew.name]
    assert mine["status"]["sourceType"] == "Kustomize"

    second = crew.push(
        {"production/kustomization.yaml": KUSTOMIZE["production/kustomization.yaml"].replace('"1.0"', '"1.1"')}
    )
    crew.deployed(second)
    crew.wait()
    assert _image(crew, "web") == "registry.example/web:1.1"
    plan = last_plan(world, crew.name)
    changed = plan["changes"]
    assert [(each["op"], each["key"]) for each in changed] == [("update", f"apps/Deployment/{crew.name}/web")]
    assert any(f.get("path", "").endswith(".image") for each in changed for f in each["fields"])

    _drift_by_hand(world, cluster, crew)
    _repair(world, crew)
    _rollback(world, crew, first, second)
    crew.delete()
    for resource in ("apps/v1/deployments", "v1/services", "v1/configmaps"):
        marked = crew.hands.select(resource, crew.name, "driftline.io/installation")
        assert marked == []
    assert not exists(world, crew.name)


def _drift_by_hand(world: World, cluster: LocalCluster, crew: Team) -> None:
    """Somebody patches with kubectl: the field, both values, kubectl and the time are named, and people hear once."""
    began = datetime.now(UTC)
    # Not `kubectl scale`: the API server records no time for writes through the scale subresource.
    kubectl(cluster, "-n", crew.name, "patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"replicas":5}}')
    crew.wait("OutOfSync")
    [drift] = world.eventually(lambda: _open_drift(world, crew.name), 20, "the drift is recorded")
    assert (drift["path"], drift["desired"], drift["live"]) == ("spec.replicas", "2", "5")
    assert drift["kind"] == "Deployment" and drift["name"] == "web"
    assert drift["manager"] == "kubectl-patch" and drift["operation"] == "Update"
    assert abs(datetime.fromisoformat(drift["managerAt"]) - began) < timedelta(seconds=15)
    assert datetime.fromisoformat(drift["foundAt"]) - began < timedelta(seconds=15)
    diff = world.api.get(f"/api/v1/applications/{crew.name}/diff")
    assert diff["different"] and "replicas" in json.dumps(diff["items"])
    drifted = world.eventually(lambda: told(world, crew.name, "drifted from Git"), 20, "Slack hears of the drift")
    assert len(drifted) == 1
    assert in_order(["spec.replicas", "2 -&gt; 5", "kubectl-patch", "Update"], drifted[0]), drifted[0]
    mails = world.eventually(
        lambda: [each for each in mail_texts(world) if crew.name in each and "drifted from Git" in each], 20, "a mail"
    )
    assert len(mails) == 1 and "spec.replicas 2 -> 5" in mails[0]
    assert [each["manager"] for each in _open_drift(world, crew.name)] == ["kubectl-patch"]


def _repair(world: World, crew: Team) -> None:
    crew.sync()
    crew.wait()
    deployment = crew.hands.get("apps/v1/deployments", crew.name, "web")
    assert deployment is not None and deployment["spec"]["replicas"] == 2
    world.eventually(lambda: told(world, crew.name, "as Git says again"), 20, "Slack hears of the recovery")
    assert len(told(world, crew.name, "as Git says again")) == 1
    assert len(told(world, crew.name, "drifted from Git")) == 1
    assert _open_drift(world, crew.name) == []
    ended = world.api.get(f"/api/v1/drift?app={crew.name}")["items"]
    assert [each["endReason"] for each in ended] == ["overwritten by a sync"]


def _rollback(world: World, crew: Team, first: str, second: str) -> None:
    """The first version comes back from its stored render, and stays though Git has another, until Git moves on."""
    history = world.api.application(crew.name)["status"]["history"]
    [entry] = [each for each in history if each["revision"] == first]
    body = {"id": entry["id"], "reason": "1.1 is slow"}
    world.api.post(f"/api/v1/applications/{crew.name}/rollback", body)
    world.eventually(lambda: _image(crew, "web") == "registry.example/web:1.0", 30, "the first version is back")
    pinned = world.api.application(crew.name)["status"]["driftline"]["pinned"]
    assert pinned["by"] == "admin" and pinned["why"] == "1.1 is slow" and pinned["revision"] == first[:12]
    crew.wait("OutOfSync")
    world.api.get(f"/api/v1/applications/{crew.name}?refresh=normal")
    steady(lambda: _image(crew, "web") == "registry.example/web:1.0", 2)
    world.api.post(f"/api/v1/applications/{crew.name}/rollback", {"id": entry["id"]})
    steady(lambda: _image(crew, "web") == "registry.example/web:1.0", 2)  # a second rollback holds as well
    third = crew.push(
        {"production/kustomization.yaml": KUSTOMIZE["production/kustomization.yaml"].replace('"1.0"', '"1.2"')}
    )
    crew.deployed(third)
    crew.wait()
    assert _image(crew, "web") == "registry.example/web:1.2"
    assert world.api.application(crew.name)["status"]["driftline"]["pinned"] is None


@pytest.mark.covers("OBJ-04")
def test_helm_from_push_to_end_with_self_heal(world: World, cluster: LocalCluster) -> None:
    crew = team(world, cluster, "helm")
    first = crew.push(CHART)
    source = {"helm": {"valueFiles": ["production.yaml"], "parameters": [{"name": "tag", "value": "7"}]}}
    crew.create("chart", source=source)
    crew.deployed(first)
    crew.wait()
    assert _image(crew, f"{crew.name}-api") == "registry.example/api:7"
    assert _ready(crew, f"{crew.name}-api") == 2
    settings = f"{crew.name}-settings"
    assert crew.data(settings) == {"greeting": "hello"}

    second = crew.push({"chart/values.yaml": CHART["chart/values.yaml"].replace("hello", "good day")})
    crew.deployed(second)
    assert crew.data(settings) == {"greeting": "good day"}
    assert [each["op"] for each in last_plan(world, crew.name)["changes"]] == ["update"]

    patch = '{"data":{"greeting":"by hand"}}'
    kubectl(cluster, "-n", crew.name, "patch", "configmap", settings, "--type=merge", "-p", patch)
    world.eventually(lambda: crew.data(settings) == {"greeting": "good day"}, 20, "self-heal repairs it")
    world.eventually(lambda: told(world, crew.name, "as Git says again"), 20, "the recovery")
    assert len(told(world, crew.name, "drifted from Git")) == 1
    assert len(told(world, crew.name, "as Git says again")) == 1
    [drift] = world.api.get(f"/api/v1/drift?app={crew.name}")["items"]
    assert (drift["path"], drift["live"], drift["manager"]) == ("data.greeting", "by hand", "kubectl-patch")
    assert drift["endReason"] == "repaired"

    crew.delete()
    assert crew.data(settings) is None
    assert crew.hands.get("apps/v1/deployments", crew.name, f"{crew.name}-api") is None


def _image(crew: Team, name: str) -> str:
    body = crew.hands.get("apps/v1/deployments", crew.name, name)
    return str(body["spec"]["template"]["spec"]["containers"][0]["image"]) if body else ""


def _ready(crew: Team, name: str) -> int:
    body = crew.hands.get("apps/v1/deployments", crew.name, name)
    return int(body["status"].get("readyReplicas", 0)) if body else 0


def _open_drift(world: World, app: str) -> list[Any]:
    found: list[Any] = world.api.get(f"/api/v1/drift?app={app}&open=true")["items"]
    return found
