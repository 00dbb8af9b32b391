"""The local control plane does what the other tests rely on."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.localcluster import build
from deploy.localcluster.localcluster import LocalCluster
from deploy.localcluster.processes import Processes
from tests.kit.cluster import eventually, hands, new_namespace

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "nginx"}]},
        },
    },
}


def test_pods_of_a_deployment_become_ready(local: LocalCluster) -> None:
    namespace = new_namespace(local)
    hands(local).create("apps/v1/deployments", namespace, DEPLOYMENT)

    def ready() -> bool:
        live = hands(local).get("apps/v1/deployments", namespace, "web")
        return live is not None and live["status"].get("readyReplicas") == 2

    eventually(ready)


def test_the_audit_log_says_who_did_what(local: LocalCluster) -> None:
    namespace = new_namespace(local)
    mark = local.audit_mark()
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    hands(local, "driftline").apply("v1/configmaps", namespace, config)
    hands(local, "driftline").get("v1/configmaps", namespace, "missing")
    seen = [entry for entry in local.audit(mark) if entry.namespace == namespace and entry.user == "driftline"]
    assert [(entry.verb, entry.name, entry.code) for entry in seen] == [
        ("patch", "settings", 201),
        ("get", "missing", 404),
    ]


def test_driftline_is_not_exempt_from_flow_control(local: LocalCluster) -> None:
    user = hands(local, "driftline").create(
        "authentication.k8s.io/v1/selfsubjectreviews", "", {"metadata": {"name": "me"}}
    )["status"]["userInfo"]
    assert user["username"] == "driftline"
    assert "system:masters" not in user["groups"]


STARTS = """
import sys, time
from deploy.localcluster.localcluster import LocalCluster
from tests.kit.cluster import hands
cluster = LocalCluster(sys.argv[1], controllers=False).start()
hands(cluster).create("v1/namespaces", "", {"metadata": {"name": "kept"}})
print("ready", flush=True)
time.sleep(300)
"""


def test_it_ends_with_a_parent_that_is_killed_and_goes_on_from_its_data(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", STARTS, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path.cwd())
    assert parent.stdout is not None and parent.stdout.readline() == b"ready\n"
    pids = [pid for pid, _ in json.loads((tmp_path / "processes.json").read_text()).values()]
    assert len(pids) == 2 and all(_runs(pid) for pid in pids)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    eventually(lambda: not any(_runs(pid) for pid in pids))
    again = LocalCluster(tmp_path, controllers=False).start()
    try:
        assert hands(again).get("v1/namespaces", "", "kept") is not None
    finally:
        again.stop()
    assert not again.running


def test_a_pid_that_belongs_to_somebody_else_by_now_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (tmp_path / "processes.json").write_text(json.dumps({"etcd": [stranger.pid, "1"]}))
        processes = Processes(tmp_path)
        assert not processes.alive("etcd")
        processes.stop("etcd")
        assert stranger.poll() is None
        assert not processes.alive("etcd") and json.loads((tmp_path / "processes.json").read_text()) == {}
    finally:
        stranger.kill()
        stranger.wait()


def test_prebuilt_binaries_are_used_where_there_are_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in build.CONTROL_PLANE:
        (tmp_path / name).touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    monkeypatch.setattr(build, "build_control_plane", lambda: pytest.fail("nothing is missing"))
    assert build.binaries(controllers=False) == {name: tmp_path / name for name in build.CONTROL_PLANE}


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
