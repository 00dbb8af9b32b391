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
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Self

from deploy.demo.worktree import WorkTree, git, git_environment

NO_COMMIT = "0" * 40
_CHUNK = 65536


@dataclass(frozen=True)
class Fault:
    """What goes wrong with requests whose path contains `only`; `times` of them, or (-1) all until it is cleared."""

    status: int = 0
    """Answer with this status and no body."""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    """Accept the request and never answer."""
    truncate: bool = False
    """Break off in the middle of the answer."""
    only: str = ""
    times: int = -1


@dataclass(frozen=True)
class Request:
    """One request as the host saw it; header names are lower-case."""

    method: str
    path: str
    headers: Mapping[str, str]


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
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
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


def _handler(host: GitHost) -> type[BaseHTTPRequestHandler]:
    class Handler(_GitHandler):
        git_host = host

    return Handler


class _GitHandler(BaseHTTPRequestHandler):
    """Translates between HTTP and the CGI program `git http-backend`."""

    git_host: GitHost
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: the host remembers its requests instead."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.git_host.requests.append(Request(self.command, self.path, headers))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError), self._body() as (body, length):
            fault = self.git_host.next_fault(self.path)
            if fault and fault.hang:
                self.git_host.stopping.wait()
                self.close_connection = True
            elif fault and fault.status:
                self._answer(fault.status, fault.headers)
            elif (wanted := self.git_host.authorization()) and headers.get("authorization") != wanted.partition(": ")[
                2
            ]:
                self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'})
            else:
                self._run(body, length, truncate=bool(fault and fault.truncate))

    @contextlib.contextmanager
    def _body(self) -> Iterator[tuple[IO[bytes], int]]:
        with tempfile.TemporaryFile() as body:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                    body.write(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body.write(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
            length = body.tell()
            body.seek(0)
            yield body, length

    def _answer(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.flush()

    def _run(self, body: IO[bytes], length: int, truncate: bool) -> None:
        path, _, query = self.path.partition("?")
        path = urllib.parse.unquote(path)
        name = path.lstrip("/").partition(".git/")[0]
        if not self.git_host.path(name).is_dir() or ".." in path:
            self._answer(404, {})
            return
        pushing = path.endswith("/git-receive-pack")
        before = self.git_host.refs(name) if pushing else {}
        process = subprocess.Popen(
            [_backend()],
            stdin=body,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._cgi(path, query, length),
        )
        with process:
            assert process.stdout is not None
            self._relay(process.stdout, truncate)
        if pushing:
            self.git_host.announce(name, before, self.git_host.refs(name))

    def _cgi(self, path: str, query: str, length: int) -> dict[str, str]:
        config = {
            "http.receivepack": "true",
            "uploadpack.allowFilter": "true",
            "uploadpack.allowAnySHA1InWant": "true",
            "safe.directory": "*",
        }
        return git_environment(config) | {
            "GIT_PROJECT_ROOT": str(self.git_host.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_USER": "developer",
            "REMOTE_ADDR": "127.0.0.1",
        }

    def _relay(self, output: IO[bytes], truncate: bool) -> None:
        answer = http.client.parse_headers(output)
        self.send_response(int(str(answer.get("Status", "200")).split()[0]))
        for key, value in answer.items():
            if key.lower() not in ("status", "content-length"):
                self.send_header(key, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = 0
        while piece := output.read(_CHUNK):
            if truncate and sent + len(piece) > 100:
                self.wfile.write(b"%x\r\n" % len(piece) + piece[: len(piece) // 2])
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()
                output.read()
                return
            sent += len(piece)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()


def _backend() -> str:
    found = shutil.which("git-http-backend") or os.path.join(git("--exec-path"), "git-http-backend")
    if not os.access(found, os.X_OK):
        raise FileNotFoundError(f"{found}: is missing; install the whole git package")
    return found
