"""A whole installation on this machine: Git host, mail and Slack catchers, control plane, and Driftline's processes.

The demo plays in it, the story tests assert in it, the benches measure in it. Everything in it is real but small.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from deploy.demo.githost import GitHost, Webhook
from deploy.demo.mailcatcher import Mailcatcher
from deploy.demo.slackhost import SlackHost
from driftline.adapters.processes import tied

ADMIN = "admin"


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class ApiError(AssertionError):
    """The API answered with an error; `status` and `body` say which."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


@dataclass
class Api:
    """A client of the REST API."""

    url: str
    token: str = ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request; returns the JSON answer, raises ApiError for one that is no success."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx.request(method, self.url + path, json=body, headers=headers, timeout=30, trust_env=False)
        if answer.status_code >= 400:
            raise ApiError(answer.status_code, answer.text)
        return answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else answer.text

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, {} if body is None else body)

    def application(self, name: str) -> Any:
        return self.get(f"/api/v1/applications/{name}")


@dataclass
class World:
    """Starts everything; `close` ends what it started. `kubeconfig` names the cluster that `in-cluster` means."""

    directory: Path
    kubeconfig: str
    settings: Mapping[str, str] = field(default_factory=dict)
    database_url: str = ""
    git_port: int = 0
    port: int = 0
    catchers: bool = True
    processes: tuple[str, ...] = ("web", "worker", "beat", "watch")
    detached: bool = False

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.secret = secrets.token_urlsafe(16)
        self.env: dict[str, str] = {}
        self.password = ""  # of the administrator, once the database is new
        self.git: GitHost
        self.mail: Mailcatcher | None = None
        self.slack: SlackHost | None = None
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.api = Api(self.url)
        self._closers: list[Callable[[], None]] = []

    def __enter__(self) -> "World":
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> "World":
        """Start the hosts around Driftline, then Driftline."""
        self.start_hosts()
        self.env = self.environment()
        self.password = self.driftline("migrate").partition("its password is ")[2].partition(" ")[0]
        self.api.token = self.driftline("token", "create", ADMIN, "--note", "this machine").split()[-1]
        self.env |= {"DRIFTLINE_SERVER": self.url, "DRIFTLINE_AUTH_TOKEN": self.api.token}
        self.start_processes()
        self.wait_ready()
        return self

    def start_hosts(self) -> None:
        """The Git host that announces pushes, and the catchers of mail and Slack messages."""
        repositories = self.directory / "git"
        repositories.mkdir(exist_ok=True)
        hook = Webhook(f"{self.url}/api/webhook", self.secret)
        self.git = GitHost(repositories, webhook=hook, port=self.git_port).start()
        self._closers.append(self.git.stop)
        if self.catchers:
            self.mail = Mailcatcher(folder=self.directory / "mail").__enter__()
            self._closers.append(lambda: self.mail.__exit__(None, None, None) if self.mail else None)
            self.slack = SlackHost(folder=self.directory / "slack").__enter__()
            self._closers.append(lambda: self.slack.__exit__(None, None, None) if self.slack else None)

    def environment(self) -> dict[str, str]:
        """The settings of this installation."""
        ours = {
            # Not the person's own: a session they have saved leads to a server of theirs.
            "DRIFTLINE_CONFIG": str(self.directory / "config.json"),
            "DRIFTLINE_DATA_DIR": str(self.directory / "data"),
            "DRIFTLINE_LISTEN": f"127.0.0.1:{self.port}",
            "DRIFTLINE_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
            "DRIFTLINE_PUBLIC_URL": self.url,
            "DRIFTLINE_KUBECONFIG": self.kubeconfig,
            "DRIFTLINE_WEBHOOK_SECRET_GITHUB": self.secret,
            "DRIFTLINE_DATABASE_URL": self.database_url,
            "DRIFTLINE_HELM": _helm(),
            "DRIFTLINE_LOG_FORMAT": "console",
        }
        if self.mail and self.slack:
            ours |= {
                "DRIFTLINE_SMTP_HOST": "127.0.0.1",
                "DRIFTLINE_SMTP_PORT": str(self.mail.port),
                "DRIFTLINE_SMTP_TLS": "none",
                "DRIFTLINE_SLACK_TOKEN": "xoxb-demo",
                "DRIFTLINE_SLACK_API_URL": self.slack.api_url,
                "DRIFTLINE_ALERT_RECIPIENTS": "slack:#deploys email:ops@example.com",
                "DRIFTLINE_ALERT_PRIVATE_ADDRESSES": "true",
            }
        return {**os.environ, **{name: value for name, value in ours.items() if value}, **self.settings}

    def driftline(self, *arguments: str, check: bool = True, timeout: float = 60) -> str:
        """Run the command line and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "service.cli.main", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode:
            raise AssertionError(f"driftline {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start_processes(self) -> None:
        """The broker, then Driftline's processes, each with its log."""
        from driftline.adapters.broker import command
        from driftline.adapters.settings import read_settings

        settings = read_settings(self.env)
        if "DRIFTLINE_BROKER_URL" not in self.env:
            self.spawn("broker", command(settings))
        for name in self.processes:
            self.spawn(name, [sys.executable, "-P", "-m", "service.cli.main", name])

    def spawn(self, name: str, argv: list[str]) -> subprocess.Popen[bytes]:
        """Start one process of the installation in a session of its own."""
        log = (self.directory / f"{name}.log").open("ab")
        process = subprocess.Popen(
            argv if self.detached else tied(argv),
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        self.running[name] = process
        return process

    def stop_process(self, name: str, number: int = signal.SIGTERM) -> None:
        """End one process, with everything it has started."""
        process = self.running.pop(name)
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
            process.wait(10)
            return
        process.send_signal(number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)

    def wait_ready(self, patience: float = 60) -> None:
        """Until the web process answers."""
        self.eventually(lambda: self.api.get("/readyz") is not None, patience, "the web process is ready")

    def eventually(self, check: Callable[[], Any], patience: float = 30, what: str = "it happens") -> Any:
        """The first true answer of `check`; AssertionError with the logs' ends if none came in time."""
        deadline = time.monotonic() + patience
        last: object = None
        while time.monotonic() < deadline:
            try:
                if found := check():
                    return found
            except (OSError, ApiError, httpx.HTTPError) as error:
                last = error
            time.sleep(0.02)
        raise AssertionError(f"waited {patience:g} s until {what}; {last or ''}\n{self.logs()}")

    def logs(self, lines: int = 15) -> str:
        """The ends of all logs."""
        parts = []
        for path in sorted(self.directory.glob("*.log")):
            tail = path.read_text(errors="replace").splitlines()[-lines:]
            parts.append(f"--- {path.name}\n" + "\n".join(tail))
        return "\n".join(parts)

    def create(self, name: str, repository: str, path: str, namespace: str, **spec: Any) -> Any:
        """Declare an application of one source."""
        source = {"repoURL": self.git.url(repository), "path": path, "targetRevision": "main"}
        source |= spec.pop("source", {})
        body = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "finalizers": ["resources-finalizer.argocd.argoproj.io"]},
            "spec": {
                "project": "default",
                "source": source,
                "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
                "syncPolicy": {
                    "automated": {"prune": True, "selfHeal": True},
                    "syncOptions": ["CreateNamespace=true"],
                },
                **spec,
            },
        }
        return self.api.post("/api/v1/applications", body)

    def status(self, name: str) -> tuple[str, str]:
        """(sync status, health) of an application."""
        status = self.api.application(name)["status"]
        return status["sync"]["status"], status["health"]["status"]

    def wait_status(self, name: str, sync: str = "Synced", health: str = "Healthy", patience: float = 60) -> None:
        """Until an application is so."""
        self.eventually(lambda: self.status(name) == (sync, health), patience, f"{name} is {sync} and {health}")

    def close(self) -> None:
        """End everything that was started, the processes first, all at once, and then the broker that they use."""
        for name, process in self.running.items():
            if name != "broker":
                process.terminate()
        for name in reversed(list(self.running)):
            self.stop_process(name)
        for closer in reversed(self._closers):
            closer()
        self._closers = []

    def remove(self) -> None:
        """Delete what it left on disk."""
        shutil.rmtree(self.directory, ignore_errors=True)


def _helm() -> str:
    from deploy.localcluster.build import helm

    return str(helm())
