"""A real Git host for the demo, the tests and the bench: bare repositories served by `git http-backend`.

`GitHost` answers fetch and push over HTTP or HTTPS, asks for credentials if told to, misbehaves on request, and after
a push sends a signed webhook of GitHub's shape. `WorkTree` is the developer's side: write, commit, push, tag.
Needs git and the standard library, nothing of Driftline.
"""

import base64
import contextlib
import hmac
import http.client
import json
import ssl
import subprocess
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Self

from deploy.demo.gitserving import Fault, Request, handler
from deploy.demo.worktree import WorkTree, git, git_environment

NO_COMMIT = "0" * 40


@dataclass(frozen=True)
class Webhook:
    """Where pushes are announced, and the secret that signs the announcement."""

    url: str
    secret: str


@dataclass(frozen=True)
class Delivery:
    """One webhook that was sent, and the status it was answered with (0: no answer)."""

    id: str
    payload: Mapping[str, object]
    status: int


class GitHost:
    """Serves the bare repositories under `root` on a local port, from `start` to `stop` (or as a context manager).

    `username` and `password`, or `token` as a bearer, are asked for when given. `tls`: a certificate file and its key.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        username: str = "",
        password: str = "",
        token: str = "",
        tls: tuple[Path, Path] | None = None,
        webhook: Webhook | None = None,
        port: int = 0,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory() if root is None else None
        self.root = Path(self._temporary.name) if self._temporary else Path(str(root))
        self.username, self.password, self.token = username, password, token
        self.webhook = webhook
        self.fault: Fault | None = None
        self.requests: list[Request] = []
        self.deliveries: list[Delivery] = []
        self.stopping = threading.Event()
        self._announcers: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler(self))
        self._server.daemon_threads = True
        self._scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
            self._scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving, wait for webhooks under way, and remove a root that was made for the occasion."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._announcers:
            thread.join(timeout=5)
        if self._temporary:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def url(self, name: str) -> str:
        return f"{self.address}/{urllib.parse.quote(name)}.git"

    def path(self, name: str) -> Path:
        return self.root / f"{name}.git"

    def create(self, name: str) -> str:
        """Make an empty repository with default branch `main`; return its URL."""
        git("init", "--quiet", "--bare", "--initial-branch=main", "--", str(self.path(name)))
        return self.url(name)

    def checkout(self, name: str, directory: Path) -> WorkTree:
        """A work tree of the repository (made if missing) that pushes over HTTP with the host's credentials."""
        if not self.path(name).exists():
            self.create(name)
        config = {"http.sslVerify": "false", "http.extraHeader": self.authorization()}
        return WorkTree.create(directory, self.url(name), {key: value for key, value in config.items() if value})

    def authorization(self) -> str:
        """The header line that this host asks for, empty if it asks for none."""
        if self.token:
            return f"Authorization: Bearer {self.token}"
        if not self.username:
            return ""
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return f"Authorization: Basic {pair}"

    def refs(self, name: str) -> dict[str, str]:
        lines = git("for-each-ref", "--format=%(objectname) %(refname)", at=self.path(name)).splitlines()
        return {ref: commit for commit, _, ref in (line.partition(" ") for line in lines)}

    def next_fault(self, path: str) -> Fault | None:
        """The fault that meets a request for `path`, counted down."""
        with self._lock:
            fault = self.fault
            if fault is None or fault.only not in path or fault.times == 0:
                return None
            if fault.times > 0:
                self.fault = Fault(fault.status, fault.headers, fault.hang, fault.truncate, fault.only, fault.times - 1)
            return fault

    def announce(self, name: str, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        """Send one webhook for each ref that a push has changed, without keeping the pusher waiting."""
        changed = sorted(ref for ref in before.keys() | after.keys() if before.get(ref) != after.get(ref))
        if self.webhook is None or not changed:
            return
        payloads = [
            self.push_payload(name, ref, before.get(ref, NO_COMMIT), after.get(ref, NO_COMMIT)) for ref in changed
        ]
        thread = threading.Thread(target=self._send_all, args=(self.webhook, payloads), daemon=True)
        self._announcers.append(thread)
        thread.start()

    def push_payload(self, name: str, ref: str, before: str, after: str) -> dict[str, object]:
        """The body of GitHub's push event, as far as receivers read it."""
        created, deleted = before == NO_COMMIT, after == NO_COMMIT
        forced = not created and not deleted and not self._ancestor(name, before, after)
        commit = None if deleted else {"id": after, "message": "", "added": [], "modified": [], "removed": []}
        return {
            "ref": ref,
            "before": before,
            "after": after,
            "created": created,
            "deleted": deleted,
            "forced": forced,
            "head_commit": commit,
            "commits": [] if commit is None else [commit],
            "pusher": {"name": "developer"},
            "repository": {
                "full_name": name,
                "default_branch": "main",
                "html_url": f"{self.address}/{name}",
                "clone_url": self.url(name),
                "ssh_url": f"ssh://git@127.0.0.1/{name}.git",
            },
        }

    def _ancestor(self, name: str, older: str, newer: str) -> bool:
        command = ["git", "merge-base", "--is-ancestor", older, newer]
        done = subprocess.run(command, cwd=self.path(name), env=git_environment({}), capture_output=True, check=False)
        return done.returncode == 0

    def _send_all(self, webhook: Webhook, payloads: list[dict[str, object]]) -> None:
        for payload in payloads:
            delivery = Delivery(str(uuid.uuid4()), payload, 0)
            with contextlib.suppress(OSError, http.client.HTTPException):
                delivery = Delivery(delivery.id, payload, _post_github(webhook, delivery.id, payload))
            self.deliveries.append(delivery)


def _post_github(webhook: Webhook, delivery_id: str, payload: Mapping[str, object]) -> int:
    body = json.dumps(payload).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": delivery_id,
        "X-Hub-Signature-256": "sha256=" + hmac.new(webhook.secret.encode(), body, "sha256").hexdigest(),
    }
    request = urllib.request.Request(webhook.url, body, headers)  # noqa: S310 (the address is the operator's)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
