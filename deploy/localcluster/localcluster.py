"""Runs a real Kubernetes control plane: etcd, API server, controllers, scheduler, and nodes that kwok pretends.

As a command: `python deploy/localcluster/localcluster.py up DIR | down DIR | build`.
"""

import argparse
import json
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import urllib3

if not __package__:  # called as a script: let it find its siblings as a package
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from deploy.localcluster import build, certificates
from deploy.localcluster.api import Api
from deploy.localcluster.audit import POLICY, AuditEntry, read_audit
from deploy.localcluster.processes import Processes

USERS = {
    "admin": ("admin", "system:masters"),
    "driftline": ("driftline", "driftline"),
    "controller-manager": ("system:kube-controller-manager",),
    "scheduler": ("system:kube-scheduler",),
    "kwok": ("localcluster:kwok", "system:masters"),
}
"""File name -> user name and groups. Flow control never holds back system:masters, so `driftline` is not in it."""

_STARTED = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
_PATIENCE = 3.0
"""Seconds for a program to end by itself. The API server would wait a minute for watches that nobody ends."""
_MARKER = "localcluster-audit-marker"


class StartFailed(Exception):
    """The control plane did not come up; the text ends with the log's last lines."""


class LocalCluster:
    """One control plane in one directory. Its data survives `stop`; a second `start` goes on from there.

    `fast` gives up etcd's durability against power loss, `audit` keeps an audit log, `controllers` runs the controller
    manager, the scheduler and kwok. `tied` ends everything with the thread that called `start`, even if it is killed.
    """

    def __init__(
        self,
        directory: Path | str,
        fast: bool = True,
        audit: bool = True,
        controllers: bool = True,
        *,
        tied: bool = True,
    ) -> None:
        self.directory = Path(directory).resolve()
        self._fast = fast
        self._audit = audit
        self._controllers = controllers
        self._tied = tied
        self._processes = Processes(self.directory)
        self._apis: dict[str, Api] = {}

    @property
    def server(self) -> str:
        """The API server's URL, on 127.0.0.1."""
        return f"https://127.0.0.1:{self._ports()['api']}"

    def kubeconfig_path(self, user: str = "driftline") -> Path:
        """The kubeconfig file of one of `USERS`."""
        return self.directory / f"{user}.kubeconfig"

    def kubeconfig(self, user: str = "driftline") -> str:
        """The text of a kubeconfig, credentials inside."""
        return self.kubeconfig_path(user).read_text()

    def api(self, user: str = "admin") -> Api:
        """A raw client as one of `USERS`."""
        if user not in self._apis:
            self._apis[user] = Api(self.server, self.directory / "certs", user)
        return self._apis[user]

    @property
    def running(self) -> bool:
        return self._processes.alive("kube-apiserver")

    def start(self, patience: float = 60.0) -> "LocalCluster":
        """Bring it up and wait until `driftline` may act. About 3 s. Raises StartFailed or build.BuildFailed."""
        programs = build.binaries(self._controllers)
        self.stop()  # what a killed predecessor left behind
        self._prepare(programs)
        self._launch("etcd", programs, self._etcd_flags())
        self._launch("kube-apiserver", programs, self._api_server_flags())
        self._await("kube-apiserver", self._ready, patience)
        self._introduce()
        if self._controllers:
            self._launch("kube-controller-manager", programs, self._controller_manager_flags())
            self._launch("kube-scheduler", programs, self._scheduler_flags())
            self._launch("kwok", programs, self._kwok_flags())
        self._await("kube-apiserver", self._admitted, patience)
        return self

    def stop(self) -> None:
        """End all of it: the API server before etcd, which it needs to shut down."""
        for name in reversed(_STARTED):
            self._processes.stop(name, _PATIENCE)
        for api in self._apis.values():
            api.close()
        self._apis.clear()

    def stop_api_server(self) -> None:
        """End only the API server, as an upgrade of the control plane does."""
        self._processes.stop("kube-apiserver", _PATIENCE)

    def start_api_server(self, patience: float = 60.0) -> None:
        """Bring the API server back on the same port and data."""
        self._launch("kube-apiserver", build.binaries(controllers=False), self._api_server_flags())
        self._await("kube-apiserver", self._ready, patience)

    def audit_mark(self) -> int:
        """The present end of the audit log, for `audit(since)`."""
        self._settle_audit()
        log = self.directory / "audit.log"
        return log.stat().st_size if log.exists() else 0

    def audit(self, since: int = 0) -> list[AuditEntry]:
        """The calls since a mark, in order, without those of the control plane itself."""
        self._settle_audit()
        return [entry for entry in read_audit(self.directory / "audit.log", since) if _MARKER not in entry.uri]

    def calls(self, user: str = "driftline", since: int = 0) -> Counter[str]:
        """How often a user called each verb."""
        return Counter(entry.verb for entry in self.audit(since) if entry.user == user)

    def _settle_audit(self) -> None:
        """Wait until the log has caught up: a call is written a moment after it was answered."""
        marker = f"{_MARKER}={uuid.uuid4().hex}"
        self.api().request("GET", f"/version?{marker}")
        log, deadline = self.directory / "audit.log", time.monotonic() + 2
        while time.monotonic() < deadline:
            time.sleep(0.02)
            if log.exists() and marker.encode() in _tail(log):
                return

    def _prepare(self, programs: Any) -> None:
        """Make what the programs read: certificates, kubeconfigs, ports, policies. Kept if it is there already."""
        if (self.directory / "cluster.json").exists():
            return
        certs = self.directory / "certs"
        for folder in (self.directory, certs, self.directory / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        authority = certificates.make_authority()
        self._keep("ca", authority)
        names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
        self._keep("server", certificates.issue_server(authority, names, ("127.0.0.1", "10.96.0.1")))
        (certs / "accounts.key").write_text(certificates.make_key())
        ports = dict(zip(("api", "etcd", "peer"), _free_ports(3), strict=True))
        (self.directory / "audit-policy.yaml").write_text(json.dumps(POLICY))
        if self._controllers:
            stages = subprocess.run([programs["kwok-stages"]], capture_output=True, check=True).stdout
            (self.directory / "stages.yaml").write_bytes(stages)
        for name, (user, *groups) in USERS.items():
            pair = certificates.issue_client(authority, user, *groups)
            self._keep(name, pair)
            text = _kubeconfig(f"https://127.0.0.1:{ports['api']}", authority.certificate, name, pair)
            self.kubeconfig_path(name).write_text(text)
        (self.directory / "cluster.json").write_text(json.dumps(ports))

    def _keep(self, name: str, pair: certificates.Pair) -> None:
        (self.directory / "certs" / f"{name}.crt").write_text(pair.certificate)
        (self.directory / "certs" / f"{name}.key").write_text(pair.key)

    def _ports(self) -> dict[str, int]:
        ports: dict[str, int] = json.loads((self.directory / "cluster.json").read_text())
        return ports

    def _launch(self, name: str, programs: Any, flags: list[str]) -> None:
        self._processes.start(name, [str(programs[name]), *flags], tied=self._tied)

    def _etcd_flags(self) -> list[str]:
        ports = self._ports()
        client, peer = (f"http://127.0.0.1:{ports[name]}" for name in ("etcd", "peer"))
        return [
            "--name=local",
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=local={peer}",
            "--quota-backend-bytes=8589934592",
            "--log-level=warn",
            *(["--unsafe-no-fsync"] if self._fast else []),
        ]

    def _api_server_flags(self) -> list[str]:
        ports, certs = self._ports(), self.directory / "certs"
        flags = [
            f"--etcd-servers=http://127.0.0.1:{ports['etcd']}",
            f"--secure-port={ports['api']}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={certs}",
            f"--tls-cert-file={certs / 'server.crt'}",
            f"--tls-private-key-file={certs / 'server.key'}",
            f"--client-ca-file={certs / 'ca.crt'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={certs / 'accounts.key'}",
            f"--service-account-signing-key-file={certs / 'accounts.key'}",
            "--service-cluster-ip-range=10.96.0.0/12",
            "--endpoint-reconciler-type=none",  # it cannot advertise a loopback address
            "--authorization-mode=RBAC",
            "--allow-privileged=true",
            "--profiling=false",
        ]
        if not self._controllers:  # nobody makes the account that Pods would wait for
            flags.append("--disable-admission-plugins=ServiceAccount")
        if self._audit:
            flags += [
                f"--audit-policy-file={self.directory / 'audit-policy.yaml'}",
                f"--audit-log-path={self.directory / 'audit.log'}",
                "--audit-log-mode=blocking",
            ]
        return flags

    def _controller_manager_flags(self) -> list[str]:
        certs, config = self.directory / "certs", self.kubeconfig_path("controller-manager")
        return [
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            f"--service-account-private-key-file={certs / 'accounts.key'}",
            f"--root-ca-file={certs / 'ca.crt'}",
            "--use-service-account-credentials=true",
            # kwok's heartbeat can be late on a busy machine, and nobody makes Pods ready again once the node was not.
            "--node-monitor-grace-period=24h",
            "--leader-elect=false",
            "--secure-port=0",
            "--kube-api-qps=1000",
            "--kube-api-burst=1000",
        ]

    def _scheduler_flags(self) -> list[str]:
        config = self.kubeconfig_path("scheduler")
        return [
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            "--leader-elect=false",
            "--secure-port=0",
            "--kube-api-qps=1000",
            "--kube-api-burst=1000",
        ]

    def _kwok_flags(self) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig_path('kwok')}",
            f"--config={self.directory / 'stages.yaml'}",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            "--cidr=10.244.0.0/16",
            "--node-ip=10.0.0.1",
        ]

    def _await(self, name: str, condition: Callable[[], bool], patience: float) -> None:
        deadline = time.monotonic() + patience
        while not condition():
            dead = next((part for part in ("etcd", name) if not self._processes.alive(part)), "")
            if dead or time.monotonic() > deadline:
                log = self.directory / "logs" / f"{dead or name}.log"
                what = "ended" if dead else f"is not ready after {patience:.0f} s"
                raise StartFailed(f"{dead or name}: {what}; see {log}:\n{_tail(log).decode(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            return self.api().request("GET", "/readyz", timeout=2)[0] == 200
        except urllib3.exceptions.HTTPError:
            return False

    def _admitted(self) -> bool:
        """Whether the API server knows the role of `driftline` yet."""
        return self.api("driftline").request("GET", "/api/v1/namespaces/kube-system")[0] == 200

    def _introduce(self) -> None:
        """Make `driftline` an administrator by RBAC, and give the scheduler a node."""
        binding = {
            "metadata": {"name": "localcluster-driftline"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "driftline"}],
        }
        self._create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
        if self._controllers:
            annotations = {"kwok.x-k8s.io/node": "fake"}
            labels = {"kubernetes.io/hostname": "local", "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
            self._create("/api/v1/nodes", {"metadata": {"name": "local", "annotations": annotations, "labels": labels}})

    def _create(self, path: str, body: dict[str, Any]) -> None:
        status, answer = self.api().request("POST", path, body)
        if status not in (201, 409):
            raise StartFailed(f"{path}: {answer}")


def _kubeconfig(server: str, authority: str, user: str, pair: certificates.Pair) -> str:
    """A kubeconfig with everything inside. JSON, which is YAML too."""
    from base64 import b64encode

    def data(text: str) -> str:
        return b64encode(text.encode()).decode()

    cluster = {"server": server, "certificate-authority-data": data(authority)}
    login = {"client-certificate-data": data(pair.certificate), "client-key-data": data(pair.key)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "local",
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": user}}],
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": user, "user": login}],
    }
    return json.dumps(config, indent=1)


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports


def _tail(file: Path, size: int = 16384) -> bytes:
    if not file.exists():
        return b""
    with file.open("rb") as content:
        content.seek(max(0, file.stat().st_size - size))
        return content.read()


def main() -> int:
    """The command line; `up` leaves the control plane running until `down`."""
    parser = argparse.ArgumentParser(description="A real Kubernetes control plane on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("up", "start it, and leave it running"), ("down", "stop it; its data stays")):
        commands.add_parser(name, help=text).add_argument("directory", type=Path)
    commands.add_parser("build", help="build the control plane and Helm, and print where they are")
    chosen = parser.parse_args()
    try:
        return _run(chosen.command, getattr(chosen, "directory", None))
    except (build.BuildFailed, StartFailed) as error:
        print(error, file=sys.stderr)
        return 1


def _run(command: str, directory: Path | None) -> int:
    if directory is None:
        print(build.build_control_plane())
        print(build.helm())
        return 0
    cluster = LocalCluster(directory, tied=False)
    if command == "down":
        cluster.stop()
        return 0
    cluster.start()
    print(f"{cluster.server} is up; KUBECONFIG={cluster.kubeconfig_path()} (administrator: admin.kubeconfig)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
