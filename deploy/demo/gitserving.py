"""One request to the demo's Git host: from HTTP to the CGI program `git http-backend` and back, or a fault."""

import contextlib
import http.client
import os
import shutil
import subprocess
import tempfile
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import IO, TYPE_CHECKING

from deploy.demo.worktree import git, git_environment

if TYPE_CHECKING:
    from deploy.demo.githost import GitHost

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


def handler(host: "GitHost") -> type[BaseHTTPRequestHandler]:
    """What serves the requests of one host."""

    class Handler(_GitHandler):
        git_host = host

    return Handler


class _GitHandler(BaseHTTPRequestHandler):
    """Translates between HTTP and the CGI program `git http-backend`."""

    git_host: "GitHost"
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
