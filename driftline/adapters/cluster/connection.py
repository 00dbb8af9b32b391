"""One API server over one pool of connections: raw requests, time limits, overload, credentials. Called by cluster."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
import urllib3
from urllib3.connection import HTTPConnection

from driftline.adapters.cluster.credentials import Login, log_in
from driftline.adapters.cluster.limits import Gate
from driftline.adapters.cluster.refusals import Answer, Call, from_transport, retry_after, translate
from driftline.adapters.settings import Settings
from driftline.model.access import ClusterAccess
from driftline.model.cluster import ClusterUnreachable
from driftline.model.objects import Object

CONNECT = 3.0
"""Seconds for a connection to come about."""
READ = 35.0
"""Seconds without a byte; the API server is asked to give up a write after `SERVER`."""
SERVER = "30s"
LARGEST = 512 * 1024 * 1024
"""Bytes of one answer; a server that sends more is cut off."""
_RENEW_EVERY = 10.0
_PATIENT = 2.0
"""A wait that the server asks for is kept here up to this many seconds, else it is the caller's."""
_ATTEMPTS = 3
_OVERLOAD = frozenset({429, 503})
_KEEPALIVE = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), seconds)
        for name, seconds in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `gate`: `write` and `list` are limited; `repeat`: it does no harm if it arrives twice."""

    method: str
    path: str
    call: Call
    body: Any = None
    content_type: str = "application/json"
    accept: str = "application/json"
    gate: str = "read"
    repeat: bool = False
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer of success, or one whose code the caller asked for."""

    call: Call
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Object:
        """The JSON mapping in the body. Raises ClusterUnreachable for anything else: no API server sent it."""
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            raise self._nonsense()
        return document

    def object(self) -> Object:
        """The Kubernetes object in the body. Raises ClusterUnreachable if there is none."""
        document = self.json()
        if not isinstance(document.get("metadata"), dict):
            raise self._nonsense()
        return document

    def _nonsense(self) -> ClusterUnreachable:
        return ClusterUnreachable(f"{self.call}: what answers for cluster {self.call.cluster} is no API server")


class Connection:
    """Connections to one API server as one identity. Made after fork; safe for many threads."""

    def __init__(self, access: ClusterAccess, settings: Settings) -> None:
        self.name = access.name
        self._access = access
        self._settings = settings
        self._gates = {"write": Gate(settings.cluster_writes), "list": Gate(settings.cluster_lists)}
        self._renewing = threading.Lock()
        self._login: Login
        self._pool: urllib3.HTTPConnectionPool
        self._watches: urllib3.HTTPConnectionPool
        self._generation = 0
        self._log_in()

    def gate(self, kind: str) -> Gate:
        """The limit of `write` or `list` requests, for metrics and tests."""
        return self._gates[kind]

    def send(self, request: Request, accept: frozenset[int] = frozenset()) -> Response:
        """The answer. Raises ApiRefused, ClusterUnreachable or Temporary, unless its code is in `accept`."""
        for attempt in range(1, _ATTEMPTS + 1):
            response, generation = self._attempt(request)
            if 200 <= response.status < 300 or response.status in accept:
                return response
            if response.status == 401 and attempt == 1 and self._renew(generation):
                continue
            wait = retry_after(response.headers).total_seconds()
            # A 429 was never begun, so it may be sent again, whatever it is.
            if response.status == 429 and wait <= _PATIENT and attempt < _ATTEMPTS:
                time.sleep(wait * random.uniform(1.0, 1.5))  # noqa: S311  (jitter, not a secret)
                continue
            raise translate(request.call, Answer.read(response.status, response.body), response.headers)
        raise AssertionError("the last attempt returns or raises")

    @contextlib.contextmanager
    def stream(self, request: Request, idle: float) -> Iterator[urllib3.BaseHTTPResponse]:
        """An open watch: at most `idle` seconds without a byte. Raises as `send` does, at the start only."""
        timeout = urllib3.Timeout(connect=CONNECT, read=READ)
        for attempt in (1, 2):
            generation, pool = self._generation, self._watches
            try:
                response = pool.urlopen(
                    request.method,
                    self._target(request.path),
                    headers=self._headers(request),
                    timeout=timeout,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise from_transport(request.call, self.host, error) from None
            try:
                if response.status == 401 and attempt == 1 and self._renew(generation):
                    continue
                if response.status != 200:
                    body = response.read(1024 * 1024)
                    raise translate(request.call, Answer.read(response.status, body), response.headers)
                # It has begun to answer; from now on silence is normal.
                if (sock := getattr(response.connection, "sock", None)) is not None:
                    sock.settimeout(idle)
                yield response
                return
            finally:
                response.close()

    def close(self) -> None:
        """Close the idle connections. Those in use close when they end."""
        self._pool.close()
        self._watches.close()

    def _attempt(self, request: Request) -> tuple[Response, int]:
        gate = self._gates.get(request.gate)
        if gate is None:
            return self._once(request)
        with gate.hold() as place:
            if not place.admitted:
                raise ClusterUnreachable(f"{request.call}: cluster {self.name} is too busy: no place in a minute")
            try:
                response, generation = self._once(request)
            except ClusterUnreachable:
                gate.overloaded()
                raise
            if response.status in _OVERLOAD:
                gate.overloaded()
            else:
                gate.went_well()
            return response, generation

    def _once(self, request: Request) -> tuple[Response, int]:
        if self._login.stale:
            self._renew(self._generation)
        generation, pool = self._generation, self._pool
        sent = None if request.body is None else orjson.dumps(request.body)
        for again in (request.repeat, False):
            try:
                response = pool.urlopen(
                    request.method,
                    self._target(request.path),
                    body=sent,
                    headers=self._headers(request),
                    timeout=urllib3.Timeout(connect=CONNECT, read=READ),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
                body = _read(response, request.call)
                return Response(request.call, response.status, response.headers, body), generation
            except urllib3.exceptions.ProtocolError as error:
                # A connection that rested too long was closed by the other side just as we used it.
                if not again:
                    raise from_transport(request.call, self.host, error) from None
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise from_transport(request.call, self.host, error) from None
        raise AssertionError("the second attempt returns or raises")

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {"Accept": request.accept, "User-Agent": "driftline", **self._login.header()}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        if request.etag:
            headers["If-None-Match"] = request.etag
        return headers

    def _target(self, path: str) -> str:
        return self._prefix + path

    def _log_in(self) -> None:
        self._login = log_in(self._access, self._settings)
        self.server = self._login.server
        parts = urlsplit(self.server)
        self.host = parts.netloc.rpartition("@")[2]
        self._prefix = parts.path
        self._pool = self._make_pool(self._settings.cluster_writes + self._settings.cluster_lists)
        self._watches = self._make_pool(256)
        self._logged_in = time.monotonic()
        self._generation += 1

    def _make_pool(self, size: int) -> urllib3.HTTPConnectionPool:
        """A pool of its own for watches: they last, and must not crowd out requests. Both share one TLS context."""
        login = self._login
        options: dict[str, Any] = {"maxsize": size, "block": False, "socket_options": _KEEPALIVE, "retries": False}
        if login.context is not None:
            options["ssl_context"] = login.context
        if login.server_name:
            options |= {"server_hostname": login.server_name, "assert_hostname": login.server_name}
        if login.context is not None and not login.context.check_hostname:
            options |= {"cert_reqs": "CERT_NONE", "assert_hostname": False}
        if not login.proxy:
            return urllib3.PoolManager(**options).connection_from_url(login.server)
        return urllib3.ProxyManager(login.proxy, **options).connection_from_url(login.server)

    def _renew(self, generation: int) -> bool:
        """Read the credentials again, once for all threads that saw those of `generation` refused."""
        with self._renewing:
            if self._generation == generation:
                if time.monotonic() - self._logged_in < _RENEW_EVERY:
                    return False  # read a moment ago: reading again would not make them better
                self.close()
                self._log_in()
            return True


def _read(response: urllib3.BaseHTTPResponse, call: Call) -> bytes:
    body = response.read(LARGEST)
    if len(body) >= LARGEST:
        response.close()
        raise ClusterUnreachable(f"{call}: the API server sent more than {LARGEST >> 20} MiB")
    response.release_conn()
    return body
