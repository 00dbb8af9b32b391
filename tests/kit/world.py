"""A running installation for story and durability tests: teams that push to it, people who look, accidents that happen.

A folder's conftest imports the fixtures `cluster` and `world` (and, for PostgreSQL, `postgres_server`).
"""

import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from sqlalchemy import text

from deploy.demo.worktree import WorkTree
from deploy.demo.world import ApiError, World
from deploy.localcluster.audit import AuditEntry
from deploy.localcluster.localcluster import LocalCluster
from driftline.adapters.settings import read_settings
from driftline.adapters.store.engine import Store
from driftline.adapters.store.tables import metadata
from tests.kit.cluster import Hands, hands, random_name, shared_cluster
from tests.kit.databases import BOTH, PostgresServer

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@pytest.fixture(scope="session")
def cluster() -> LocalCluster:
    """The control plane of this test session."""
    return shared_cluster()


@pytest.fixture(scope="package", params=BOTH)
def world(
    request: pytest.FixtureRequest, cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """One installation for the tests of a folder, on each database in turn."""
    url = ""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url(server.create())
    with installation(cluster, tmp_path_factory.mktemp("world"), url) as found:
        yield found


@contextlib.contextmanager
def installation(
    cluster: LocalCluster, directory: Path, database_url: str = "", kubeconfig: str = "", **settings: str
) -> Iterator[World]:
    """An installation with settings of its own (`job_lease="3"`), ended with everything that it started."""
    given = {f"DRIFTLINE_{name.upper()}": value for name, value in settings.items()}
    config = kubeconfig or str(cluster.kubeconfig_path("driftline"))
    with World(directory, config, settings=given, database_url=database_url) as found:
        yield found


@dataclass(frozen=True)
class Team:
    """One repository with its work tree; the application, the repository and the namespace share a name."""

    world: World
    cluster: LocalCluster
    tree: WorkTree
    name: str

    @property
    def hands(self) -> Hands:
        return hands(self.cluster)

    def push(self, files: Mapping[str, str | bytes | None], message: str = "change") -> str:
        """Commit and push over HTTP; the host announces it. Returns the commit."""
        commit = self.tree.commit(message, files)
        self.tree.push()
        return commit

    def create(self, path: str = "app", name: str = "", **more: Any) -> str:
        """Declare an application of this repository; automated unless `syncPolicy` says otherwise."""
        self.world.create(name or self.name, self.name, path, more.pop("namespace", self.name), **more)
        return name or self.name

    def wait(self, sync: str = "Synced", health: str = "Healthy", patience: float = 60) -> None:
        self.world.wait_status(self.name, sync, health, patience)

    def wait_for(self, commit: str, app: str = "", patience: float = 60) -> None:
        """Until a commit is what the application runs, in sync."""
        app = app or self.name

        def there() -> bool:
            found = self.world.api.application(app)["status"]["sync"]
            return bool(found["status"] == "Synced" and found.get("revision") == commit)

        self.world.eventually(there, patience, f"{app} runs {commit[:12]}")

    def deployed(self, commit: str, app: str = "", patience: float = 60) -> None:
        """Until the record of deployments ends with a commit."""
        app = app or self.name

        def there() -> bool:
            history = self.world.api.application(app)["status"].get("history") or []
            return bool(history) and history[-1]["revision"] == commit

        self.world.eventually(there, patience, f"{app} has deployed {commit[:12]}")

    def data(self, name: str, namespace: str = "") -> Mapping[str, str] | None:
        """The data of a ConfigMap in the cluster, None if it is not there."""
        body = self.hands.get("v1/configmaps", namespace or self.name, name)
        return None if body is None else body.get("data") or {}

    def conditions(self, app: str = "") -> str:
        """What the application's status complains of, one line each."""
        status = self.world.api.application(app or self.name)["status"]
        return "\n".join(f"{each['type']}: {each['message']}" for each in status["conditions"])

    def operation(self, app: str = "") -> Any:
        """`status.operationState` of the running or last operation."""
        return self.world.api.application(app or self.name)["status"].get("operationState") or {}

    def sync(self, app: str = "", **request: Any) -> None:
        self.world.api.post(f"/api/v1/applications/{app or self.name}/sync", request)

    def delete(self, app: str = "", patience: float = 60) -> None:
        """Delete with cascade, and wait until it is gone."""
        app = app or self.name
        self.world.api.call("DELETE", f"/api/v1/applications/{app}?cascade=true")
        self.world.eventually(lambda: not exists(self.world, app), patience, f"{app} is gone")


def team(world: World, cluster: LocalCluster, prefix: str = "story") -> Team:
    """A team with an empty repository."""
    name = random_name(prefix)
    return Team(world, cluster, world.git.checkout(name, world.directory / "trees" / name), name)


def exists(world: World, app: str) -> bool:
    """Whether an application is known."""
    try:
        world.api.application(app)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


def last_plan(world: World, app: str) -> Any:
    """What the newest sync planned, as the API shows it."""
    [last, *_] = world.api.get(f"/api/v1/applications/{app}/syncs")["items"]
    return world.api.get(f"/api/v1/applications/{app}/syncs/{last['id']}")["planView"]


def config_map(name: str, **data: str) -> str:
    """A ConfigMap as YAML."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    return json.dumps(body, indent=1)


def config_maps(count: int, value: str = "1", folder: str = "app", first: int = 0) -> dict[str, str]:
    """So many files of one ConfigMap each."""
    return {f"{folder}/{n:03}.json": config_map(f"cm-{n:03}", value=value) for n in range(first, first + count)}


def kubectl(cluster: LocalCluster, *arguments: str) -> str:
    """The real kubectl, as an administrator."""
    program = Path(sys.executable).parent / "kubectl"
    command = [str(program), "--kubeconfig", str(cluster.kubeconfig_path("admin")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def slack_texts(world: World) -> list[str]:
    """Everything that was said in Slack: title and lines of each message."""
    assert world.slack is not None
    return [_slack_text(each) for each in world.slack.messages]


def _slack_text(body: Mapping[str, Any]) -> str:
    lines = [str(body.get("text", ""))]
    for attachment in body.get("attachments") or ():
        lines += [block["text"]["text"] for block in attachment["blocks"] if "text" in block]
    return "\n".join(lines)


def mail_texts(world: World) -> list[str]:
    """Subject and body of every mail."""
    assert world.mail is not None
    texts = []
    for caught in world.mail.messages:
        body = caught.message.get_body(("plain",))
        texts.append(f"{caught.message['subject']}\n{body.get_content() if body else ''}")
    return texts


def told(world: World, *words: str) -> list[str]:
    """The Slack messages in which all the words occur."""
    return [each for each in slack_texts(world) if all(word in each for word in words)]


def writes(entries: list[AuditEntry], namespace: str = "") -> list[AuditEntry]:
    """What Driftline wrote to the cluster (in one namespace), dry runs included."""
    return [
        each
        for each in entries
        if each.user == "driftline" and each.verb in WRITES and (not namespace or each.namespace == namespace)
    ]


def kill_tree(world: World, name: str) -> None:
    """SIGKILL for one process of the installation and all that it has started, the parents first."""
    root = psutil.Process(world.running.pop(name).pid)
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    root.wait(10)


def start(world: World, name: str) -> None:
    """Start one process of the installation again."""
    world.spawn(name, [sys.executable, "-P", "-m", "service.cli.main", name])


def start_broker(world: World) -> None:
    from driftline.adapters.broker import command

    world.spawn("broker", command(read_settings(world.env)))


@contextlib.contextmanager
def database(world: World) -> Iterator[Store]:
    """The installation's database, for looking at its rows."""
    store = Store(read_settings(world.env).database)
    try:
        yield store
    finally:
        store.dispose()


def rows(world: World, sql: str, **values: Any) -> list[Any]:
    """The rows of one SELECT on the installation's database."""
    with database(world) as store, store.read() as db:
        return list(db.execute(text(sql), values).mappings())


def everything_stored(world: World) -> Iterator[tuple[str, str]]:
    """(table, value) of every column of every row, bytes as Latin-1 text."""
    with database(world) as store, store.read() as db:
        for table in metadata.sorted_tables:
            for row in db.execute(table.select()):
                for value in row:
                    yield table.name, value.decode("latin-1") if isinstance(value, bytes) else str(value)


def steady(check: Callable[[], Any], seconds: float) -> None:
    """Fails as soon as `check` is not true, within a span in which nothing may happen."""
    import time

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert check()
        time.sleep(0.1)


def in_order(words: list[str], message: str) -> bool:
    """Whether the words stand in a message in this order."""
    return re.search(".*".join(re.escape(word) for word in words), message, re.S) is not None
