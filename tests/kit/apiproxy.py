"""A proxy in front of a real API server that fails on demand: refusals, silence, cut connections. Used by tests."""

import contextlib
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import urllib3

from deploy.localcluster.localcluster import LocalCluster

CUT = -1


@dataclass
class Fault:
    """An answer instead of the API server's, for requests that match, `times` times."""

    method: str
    path: str
    """A regular expression searched in path and query."""
    status: int
    """0: pass on after `delay`; CUT: close the connection without an answer."""
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    delay: float = 0.0
    """Seconds before the answer."""


class ApiProxy:
    """Speaks TLS as the API server does, and passes on as `user`. `url` is its address."""

    def __init__(self, cluster: LocalCluster, user: str = "driftline") -> None:
        certs = cluster.directory / "certs"
        upstream = ssl.create_default_context(cafile=str(certs / "ca.crt"))
        upstream.load_cert_chain(certs / f"{user}.crt", certs / f"{user}.key")
        self.upstream = urllib3.PoolManager(ssl_context=upstream, maxsize=64, retries=False)
        self.server = cluster.server
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """(method, path with query, headers) of each request, in order of arrival."""
        self.silent = threading.Event()
        """While set, nothing is passed on in either direction, and no connection is closed."""
        self.sockets: list[socket.socket] = []
        self.most_at_once = 0
        self.at_once = 0
        self.lock = threading.Lock()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certs / "server.crt", certs / "server.key")
        self._http = _Server(self, context)
        self.url = f"https://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def fail(self, method: str, path: str, status: int, **more: Any) -> Fault:
        """Answer the next matching request (or `times` of them) with `status`."""
        fault = Fault(method, path, status, **more)
        with self.lock:
            self.faults.append(fault)
        return fault

    def cut(self) -> None:
        """Reset all open connections, as a load balancer does that restarts."""
        with self.lock:
            sockets, self.sockets = self.sockets, []
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def count(self, method: str, path: str) -> int:
        """How many requests matched so far."""
        with self.lock:
            return sum(one == method and re.search(path, target) is not None for one, target, _ in self.requests)

    def close(self) -> None:
        self.silent.clear()
        self.cut()
        self._http.shutdown()
        self._http.server_close()

    def fault_for(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None


@contextlib.contextmanager
def api_proxy(cluster: LocalCluster) -> Iterator[ApiProxy]:
    """A proxy for one test."""
    proxy = ApiProxy(cluster)
    try:
        yield proxy
    finally:
        proxy.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, proxy: ApiProxy, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy
        self._context = context

    def get_request(self) -> tuple[socket.socket, Any]:
        plain, address = super().get_request()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wrapped = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        with self.proxy.lock:
            self.proxy.sockets.append(wrapped)
        return wrapped, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break are what this proxy is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_any(self) -> None:
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with proxy.lock:
            proxy.requests.append((self.command, self.path, dict(self.headers)))
            proxy.at_once += 1
            proxy.most_at_once = max(proxy.most_at_once, proxy.at_once)
        try:
            self._hold()
            fault = proxy.fault_for(self.command, self.path)
            if fault is not None:
                time.sleep(fault.delay)
            if fault is not None and fault.status == CUT:
                self.close_connection = True
            elif fault is not None and fault.status:
                self._canned(fault)
            else:
                self._pass_on(body)
        finally:
            with proxy.lock:
                proxy.at_once -= 1

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def _canned(self, fault: Fault) -> None:
        content = fault.body if isinstance(fault.body, bytes) else json.dumps(fault.body or {}).encode()
        self.send_response(fault.status)
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _pass_on(self, body: bytes) -> None:
        proxy = self.server.proxy
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("host", "content-length", "authorization")
        }
        answer = proxy.upstream.request(
            self.command,
            proxy.server + self.path,
            body=body or None,
            headers=headers,
            preload_content=False,
            timeout=None,
        )
        try:
            self._hold()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            for chunk in answer.stream(65536):
                self._hold()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
        finally:
            answer.close() if "watch" in self.path else answer.release_conn()

    def _hold(self) -> None:
        while self.server.proxy.silent.is_set():
            time.sleep(0.02)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""
