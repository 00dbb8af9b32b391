"""A control plane and an installation of Driftline for one bench, and what is measured around them."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench import procs
from bench.calls import ours
from bench.hooks import Receiver, Sent
from bench.ingress import IngressStub
from bench.look import Look, until
from bench.manifests import Object, application, service, text
from bench.raw import Raw
from deploy.demo.worktree import WorkTree
from deploy.demo.world import World
from deploy.localcluster.audit import AuditEntry
from deploy.localcluster.localcluster import LocalCluster
from driftline.adapters.settings import read_settings

ALL = ("web", "worker", "beat", "watch")
APPS = "apps"
"""The namespace that is deployed to."""

on_start: list[Callable[["Stage"], None]] = []
"""Called with every stage that has come up: the profiler attaches itself here."""


@dataclass
class Stage:
    """Fresh at every `with`: nothing of an earlier run slows down or speeds up this one.

    Driftline acts as a user outside system:masters, so flow control holds for it as in any cluster.
    """

    processes: tuple[str, ...] = ALL
    settings: Mapping[str, str] = field(default_factory=dict)

    def __enter__(self) -> "Stage":
        self.directory = Path(tempfile.mkdtemp(prefix="dlbench-"))
        self.cluster = LocalCluster(self.directory / "cluster")
        self._closers: list[Callable[[], None]] = [lambda: shutil.rmtree(self.directory, ignore_errors=True)]
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self) -> None:
        self._closers.append(self.cluster.stop)
        self.cluster.start()
        self.admin = self._raw("admin")
        self.bare = self._raw("driftline")
        self.admin.make_namespace(APPS)
        stub = IngressStub(self._raw("admin")).__enter__()
        self._closers.append(lambda: stub.__exit__(None, None, None))
        kubeconfig = str(self.cluster.kubeconfig_path("driftline"))
        self.world = World(
            self.directory / "world", kubeconfig, self.settings, processes=self.processes, catchers=False
        )
        self._closers.append(self.world.close)
        self.world.start()
        # The benches announce pushes themselves, at a moment that they know.
        self.world.git.webhook = None
        self.receiver = Receiver(f"{self.world.url}/api/webhook", self.world.secret)
        self.look = Look(read_settings(self.world.env))
        self._closers.append(self.look.close)
        for hook in on_start:
            hook(self)

    def _raw(self, user: str) -> Raw:
        raw = Raw(self.cluster.server, self.cluster.directory, user)
        self._closers.append(raw.close)
        return raw

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything, the last started first."""
        while self._closers:
            self._closers.pop()()

    # -- what happens ------------------------------------------------------------------------------------------------

    def repository(self, name: str, files: Mapping[str, str]) -> "Repository":
        """A new repository with these files on `main`."""
        tree = self.world.git.checkout(name, self.directory / "trees" / name)
        repository = Repository(self, name, tree)
        repository.push(files)
        return repository

    def declare(self, body: Object) -> float:
        """Declare an application by the API; when that was begun."""
        at = time.time()
        self.world.api.post("/api/v1/applications", body)
        return at

    def wait_well(self, prefix: str, number: int, patience: float = 60.0, every: float = 0.02) -> float:
        """Until so many applications whose names begin so are Synced and Healthy; when that was seen."""
        what = f"{number} applications {prefix}* are Synced and Healthy"
        try:
            return until(lambda: self.look.well(prefix) >= number, patience, what, every)
        except Exception as error:
            raise type(error)(f"{error}; {self.look.states()}\n{self.world.logs(6)}") from error

    def warm_up(self) -> None:
        """One small service first: what a process does once in its life is no part of what is measured."""
        repository = self.repository("warm", {"app/all.yaml": text(service("warm"))})
        self.declare(application("warm", repository.url, "app", APPS))
        self.wait_well("warm", 1)
        self.quiet()

    def quiet(self, seconds: float = 1.0, patience: float = 30.0) -> None:
        """Until no job has been under way for a while."""
        since = time.monotonic()
        deadline = since + patience
        while time.monotonic() - since < seconds and time.monotonic() < deadline:
            if self.look.busy():
                since = time.monotonic()
            time.sleep(0.05)

    # -- what is seen ------------------------------------------------------------------------------------------------

    def calls(self, mark: int, since: float = 0.0) -> list[AuditEntry]:
        """Driftline's calls after a mark of the audit log, and after a time."""
        return ours(self.cluster.audit(mark), since)

    @property
    def roots(self) -> dict[str, int]:
        """The process of each role."""
        return {name: process.pid for name, process in self.world.running.items()}

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, of each role with its children."""
        return procs.by_name(self.roots)


@dataclass(frozen=True)
class Repository:
    """One repository of the Git host, with its work tree."""

    stage: Stage
    name: str
    tree: WorkTree

    @property
    def url(self) -> str:
        return self.stage.world.git.url(self.name)

    @property
    def head(self) -> str:
        return self.stage.world.git.refs(self.name).get("refs/heads/main", "0" * 40)

    def push(self, files: Mapping[str, str]) -> "Push":
        """Commit and push; nobody is told yet."""
        before = self.head
        after = self.tree.commit("change", files)
        self.tree.push()
        payload = self.stage.world.git.push_payload(self.name, "refs/heads/main", before, after)
        return Push(self, after, payload)

    def fetches(self, since: int) -> int:
        """How often it was fetched since a number of requests: a fetch begins with one GET of the refs."""
        begun = f"/{self.name}.git/info/refs"
        return sum(1 for each in self.stage.world.git.requests[since:] if each.path.startswith(begun))


@dataclass(frozen=True)
class Push:
    """A commit that the host has and nobody knows of."""

    repository: Repository
    commit: str
    payload: Mapping[str, object]

    def announce(self) -> Sent:
        """Send the webhook. Raises RuntimeError if it is not taken."""
        sent = self.repository.stage.receiver.send(self.payload)
        if sent.status != 202:
            raise RuntimeError(f"the webhook was answered with {sent.status}")
        return sent


def load() -> float:
    """The machine's load average of one minute."""
    return os.getloadavg()[0]
