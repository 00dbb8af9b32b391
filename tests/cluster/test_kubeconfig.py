"""Kubeconfigs: what is refused of a stranger's, what is read of the operator's own, and Argo CD's cluster Secrets."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.localcluster.localcluster import LocalCluster
from driftline.adapters.cluster.cluster import connect
from driftline.adapters.cluster.kubeconfig import kubeconfig_of, read_kubeconfig
from driftline.adapters.settings import Settings
from driftline.model.access import ClusterAccess
from driftline.model.cluster import ClusterUnreachable
from driftline.model.errors import Permanent
from tests.kit.cluster import access

PROGRAM = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/sh", "interactiveMode": "Never"}


def changed(local: LocalCluster, user: Any = None, cluster: Any = None) -> str:
    config = json.loads(local.kubeconfig())
    config["users"][0]["user"].update(user or {})
    config["clusters"][0]["cluster"].update(cluster or {})
    return json.dumps(config)


@pytest.mark.parametrize(
    ("user", "cluster", "named"),
    [
        ({"exec": PROGRAM}, {}, "users[0].user.exec"),
        ({"auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/sh"}}}, {}, "users[0].user.auth-provider"),
        ({"tokenFile": "/etc/shadow"}, {}, "users[0].user.tokenFile"),
        ({"client-key": "/etc/ssl/private/key"}, {}, "users[0].user.client-key"),
        ({"client-certificate": "/etc/x"}, {}, "users[0].user.client-certificate"),
        ({"password-file": "/etc/shadow"}, {}, "users[0].user.password-file"),
        ({}, {"certificate-authority": "/etc/x"}, "clusters[0].cluster.certificate-authority"),
    ],
)
def test_an_uploaded_kubeconfig_may_not_name_programs_or_files(
    local: LocalCluster, settings: Settings, user: Any, cluster: Any, named: str
) -> None:
    text = changed(local, user, cluster)
    with pytest.raises(Permanent) as raised:
        connect(ClusterAccess("prod", local.server, text), settings)
    assert str(raised.value).startswith(f"cluster prod: its kubeconfig has {named}, which would run a program or read")
    assert read_kubeconfig("prod", text, allow_private=True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "not valid YAML (line 1)"),
        ("[" * 5000, "nested more than 30 levels deep"),
        ("x: &x {exec: {}}\nusers: [{user: *x}]", "uses YAML aliases"),
        ("- a", "is not a mapping"),
        ("a: " + "x" * 70_000, "larger than 64 KiB"),
        ("!!python/object/apply:os.system [id]", "not valid YAML"),
        ('{"clusters": [{"cluster": {"server": "http://10.0.0.1"}}]}', "must be an https:// URL"),
        ('{"clusters": [{"cluster": {"server": "https://x"}}], "users": []}', "cannot be used"),
    ],
)
def test_a_malformed_kubeconfig_is_explained_without_its_content(settings: Settings, text: str, problem: str) -> None:
    with pytest.raises(Permanent) as raised:
        connect(ClusterAccess("prod", "", text), settings)
    assert problem in str(raised.value)
    assert len(str(raised.value)) < 300


def test_the_private_key_is_not_left_on_disk(
    local: LocalCluster, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for _ in range(2):  # the second time, the kubernetes package remembers a file that is gone
        connect(access(local), settings).uid()
    assert [path for path in tmp_path.rglob("*") if path.is_file() and b"PRIVATE" in path.read_bytes()] == []


def test_the_operators_own_kubeconfig_may_run_a_program(
    local: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certs = local.directory / "certs"
    status = {
        "clientCertificateData": (certs / "driftline.crt").read_text(),
        "clientKeyData": (certs / "driftline.key").read_text(),
    }
    answer = {"apiVersion": PROGRAM["apiVersion"], "kind": "ExecCredential", "status": status}
    program = tmp_path / "login"
    program.write_text(f"#!/bin/sh\necho x >> {tmp_path}/runs\ncat <<'E'\n{json.dumps(answer)}\nE\n")
    program.chmod(0o755)
    config = json.loads(changed(local))
    config["users"][0]["user"] = {"exec": {**PROGRAM, "command": str(program)}}
    own = tmp_path / "kubeconfig"
    own.write_text(json.dumps(config))
    settings = Settings(data_dir=tmp_path, kubeconfig=str(own))
    assert connect(ClusterAccess("in-cluster", ""), settings).uid()
    program.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(ClusterUnreachable, match="credential program of its kubeconfig gave no credentials"):
        connect(ClusterAccess("in-cluster", ""), settings)


def test_without_a_pod_or_a_kubeconfig_the_setting_is_named(settings: Settings) -> None:
    with pytest.raises(Permanent, match="DRIFTLINE_KUBECONFIG"):
        connect(ClusterAccess("in-cluster", ""), settings)


@pytest.mark.covers("CLU-01")
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_an_argo_cd_cluster_secret_logs_in(local: LocalCluster, settings: Settings) -> None:
    user = json.loads(local.kubeconfig())
    login = user["users"][0]["user"]
    tls = {
        "caData": user["clusters"][0]["cluster"]["certificate-authority-data"],
        "certData": login["client-certificate-data"],
        "keyData": login["client-key-data"],
    }
    text = kubeconfig_of("prod", local.server, {"tlsClientConfig": tls})
    assert connect(ClusterAccess("prod", local.server, text), settings).uid()
    unchecked = {"tlsClientConfig": {"insecure": True, "certData": tls["certData"], "keyData": tls["keyData"]}}
    text = kubeconfig_of("prod", local.server, unchecked)
    assert connect(ClusterAccess("prod", local.server, text), settings).uid()
    named = {"tlsClientConfig": {**tls, "serverName": "kubernetes.default"}}
    text = kubeconfig_of("prod", local.server.replace("127.0.0.1", "localhost"), named)
    assert connect(ClusterAccess("prod", local.server, text), settings).uid()


@pytest.mark.parametrize(
    "config",
    [
        {"execProviderConfig": {"command": "aws", "args": ["eks"], "env": {"A": "b"}}},
        {"awsAuthConfig": {"clusterName": "prod", "roleARN": "arn:x"}},
    ],
)
def test_a_cluster_secret_with_a_program_is_refused_like_any_upload(settings: Settings, config: Any) -> None:
    text = kubeconfig_of("prod", "https://10.0.0.1", config)
    with pytest.raises(Permanent, match="exec"):
        connect(ClusterAccess("prod", "", text), settings)
