"""Chart repositories for tests: charts packaged by the real Helm, an HTTP host that can fail, a real registry."""

import base64
import contextlib
import json
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from deploy.localcluster.build import helm as helm_binary

USER, PASSWORD = "dana", "r3gistry-pass"
_HTPASSWD = f"{USER}:$2b$04$QES3RIjoiWxr90FQrZX1i.sDBrLB.mnkEgM/L/f6..PCey8zrXP1e\n"
"""`PASSWORD` by bcrypt, the only form that the registry reads."""


def helm(*arguments: str, cwd: Path | None = None) -> str:
    """Run the real Helm with a home of its own; what it prints."""
    with tempfile.TemporaryDirectory(prefix="helm-home-") as home:
        env = {"PATH": os.environ["PATH"], "HOME": home}
        done = subprocess.run([helm_binary(), *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"helm {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def write_chart(directory: Path, name: str, version: str, files: Mapping[str, str] | None = None, **more: Any) -> Path:
    """The sources of a small chart; `more` goes into its Chart.yaml."""
    chart = directory / name
    template = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-{{ .Chart.Name }}\n"
        "data:\n  version: {{ .Chart.Version | quote }}\n  greeting: {{ .Values.greeting | quote }}\n"
    )
    contents = {"values.yaml": "greeting: hello\n", "templates/config.yaml": template, **(files or {})}
    metadata = {"apiVersion": "v2", "name": name, "version": version, **more}
    for path, text in {"Chart.yaml": yaml.safe_dump(metadata, sort_keys=False), **contents}.items():
        place = chart / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return chart


def package(directory: Path, name: str, version: str, files: Mapping[str, str] | None = None, **more: Any) -> Path:
    """A chart's archive in `directory`, made by `helm package`; equal charts are equal archives."""
    archive = directory / f"{name}-{version}.tgz"
    archive.write_bytes(_packaged(name, version, json.dumps([files, more])))
    return archive


@cache
def _packaged(name: str, version: str, about: str) -> bytes:
    files, more = json.loads(about)
    with tempfile.TemporaryDirectory(prefix="chart-") as sources:
        chart = write_chart(Path(sources), name, version, files, **more)
        helm("package", str(chart), "--destination", sources)
        return (Path(sources) / f"{name}-{version}.tgz").read_bytes()


@dataclass(frozen=True)
class Request:
    """What a host was asked. `headers` has lower-case names."""

    path: str
    headers: Mapping[str, str]
    method: str = "GET"


@dataclass(frozen=True)
class Answer:
    """What a host says. `cut`: it breaks off after so many bytes of the body; `stall`: it says no more for so long."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    stall: float = 0.0


class WebHost:
    """An HTTP or HTTPS server that answers as `reply` says, and remembers what it was asked."""

    def __init__(self, reply: Callable[[Request], Answer], tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self._reply = reply
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = int(self._server.server_address[1])
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def authorizations(self) -> set[str]:
        """Every Authorization header that came, the empty text for requests without one."""
        return {request.headers.get("authorization", "") for request in self.requests}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.path, headers, self.command)
                host.requests.append(request)
                answer = host._reply(request)
                with contextlib.suppress(OSError):
                    self._send(answer)

            do_CONNECT = do_HEAD = do_GET

            def _send(self, answer: Answer) -> None:
                self.send_response_only(answer.status)
                if "Content-Length" not in answer.headers:
                    self.send_header("Content-Length", str(len(answer.body)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body if answer.cut is None else answer.body[: answer.cut])
                self.wfile.flush()
                time.sleep(answer.stall)
                if answer.cut is not None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


class ChartHost(WebHost):
    """An HTTP chart repository at `<url>/charts`: files of a directory, an ETag, a login if it has one.

    `answers` puts other answers in place of files, by path.
    """

    def __init__(self, directory: Path, tls: ssl.SSLContext | None = None, login: str = "") -> None:
        super().__init__(self._file, tls)
        self.directory, self.login = directory, login
        self.answers: dict[str, Answer] = {}
        self.repository = f"{self.url}/charts"
        directory.mkdir(parents=True, exist_ok=True)

    def publish(self, name: str, version: str, files: Mapping[str, str] | None = None, **more: Any) -> Path:
        """Package a chart and write the index anew, as `helm repo index` does."""
        archive = package(self.directory, name, version, files, **more)
        self.index()
        return archive

    def index(self, base: str = "") -> None:
        helm("repo", "index", str(self.directory), *(["--url", base] if base else []))

    def edit_index(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the index by hand."""
        file = self.directory / "index.yaml"
        index = yaml.safe_load(file.read_text())
        change(index)
        file.write_text(yaml.safe_dump(index))

    def _file(self, request: Request) -> Answer:
        path = urlsplit(request.path).path
        if path in self.answers:
            return self.answers[path]
        if self.login and request.headers.get("authorization") != self.login:
            return Answer(401, b"canary body")
        place = self.directory / path.removeprefix("/charts/")
        if not path.startswith("/charts/") or not place.is_file():
            return Answer(404, b"canary body")
        body = place.read_bytes()
        tag = f'"{hash(body)}"'
        if request.headers.get("if-none-match") == tag:
            return Answer(304, headers={"ETag": tag})
        return Answer(200, body, {"ETag": tag})


def basic(username: str = USER, password: str = PASSWORD) -> str:
    """The header of basic authentication."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


class RegistryHost:
    """The real `docker-registry` over a directory; `auth` is the section of its configuration."""

    def __init__(self, directory: Path, auth: Mapping[str, Any] | None = None) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="registry-")
        home = Path(self._home.name)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.address = f"127.0.0.1:{self.port}"
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(directory)}},
            "http": {"addr": self.address},
        }
        if auth is not None:
            config["auth"] = dict(auth)
        self._config, self._log = home / "config.yml", home / "log"
        self._config.write_text(yaml.safe_dump(config))
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def with_login(cls, directory: Path) -> "RegistryHost":
        """One that asks for `USER` and `PASSWORD`."""
        directory.mkdir(parents=True, exist_ok=True)
        users = directory.parent / "htpasswd"
        users.write_text(_HTPASSWD)
        return cls(directory, {"htpasswd": {"realm": "charts", "path": str(users)}})

    def __enter__(self) -> Self:
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                ["/usr/bin/docker-registry", "serve", str(self._config)],
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
                return self
            time.sleep(0.02)
        raise RuntimeError(f"docker-registry does not start: {self._log.read_text()}")

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(5)
        self._home.cleanup()

    def push(self, archive: Path, path: str = "charts") -> None:
        """`helm push` into `path` of this registry."""
        helm("push", str(archive), f"oci://{self.address}/{path}", "--plain-http")


def asked_scope(request: Request) -> tuple[str, str]:
    """What a token service was asked for: service and scope."""
    query = parse_qs(urlsplit(request.path).query)
    return query.get("service", [""])[0], query.get("scope", [""])[0]


def token_answer(token: str) -> Answer:
    """What a token service says."""
    return Answer(200, json.dumps({"token": token, "expires_in": 300}).encode(), {"Content-Type": "application/json"})


class TokenService(WebHost):
    """A token service whose tokens the real registry believes: signed by a key whose certificate it is given.

    `login` is the header that it asks for; empty: anybody gets a token.
    """

    def __init__(self, directory: Path, login: str) -> None:
        super().__init__(self._issued)
        self._login = login
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
        now = datetime.now(UTC)
        built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key())
        built = (
            built.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        )
        self._certificate = built.sign(self._key, hashes.SHA256())
        self._bundle = directory / "tokens.pem"
        self._bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def section(self) -> Mapping[str, Any]:
        """The registry's configuration for it."""
        about = {"realm": f"{self.url}/token", "service": "registry", "issuer": "tokens"}
        return {"token": {**about, "rootcertbundle": str(self._bundle)}}

    def _issued(self, request: Request) -> Answer:
        if self._login and request.headers.get("authorization") != self._login:
            return Answer(401, b"canary")
        service, scope = asked_scope(request)
        wanted = [part.split(":") for part in scope.split() if part]
        now = int(time.time())
        certificate = self._certificate.public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(certificate).decode()]}
        rights = [{"type": kind, "name": name, "actions": actions.split(",")} for kind, name, actions in wanted]
        claims = {"iss": "tokens", "sub": "", "aud": service, "exp": now + 300, "nbf": now - 10, "iat": now, "jti": "1"}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, {**claims, "access": rights}))
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return token_answer(f"{signed}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}")


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
