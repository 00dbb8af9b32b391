"""Connections to checked addresses, which end at a deadline. An httpx transport.

A name is resolved once, every address it has is checked, and the connection goes to a checked one, so that a name
cannot change its mind in between. No proxy of the environment, no netrc, no redirect, no cookie.
"""

import ssl
import time
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import httpcore
import httpx

from driftline.adapters.http.addresses import checked_addresses


class _Stream(httpcore.NetworkStream):
    """A connection whose every read and write ends at the deadline, and earlier where nothing comes for `idle` s."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float, idle: float | None) -> None:
        self._stream, self._deadline, self._idle = stream, deadline, idle

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("deadline")
        return left if self._idle is None else min(left, self._idle)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._left())
        return _Stream(secured, self._deadline, self._idle)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    """Opens connections to checked addresses only."""

    def __init__(self, deadline: float, allow_private: bool, idle: float | None) -> None:
        self._deadline, self._allow_private, self._idle = deadline, allow_private, idle

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = checked_addresses(host, port, self._allow_private)
        for address in addresses[:-1]:
            try:
                return self._connect(address, port, timeout)
            except httpcore.NetworkError:
                continue
        return self._connect(addresses[-1], port, timeout)

    def _connect(self, address: str, port: int, timeout: float | None) -> httpcore.NetworkStream:
        left = max(self._deadline - time.monotonic(), 0.01)
        wait = min(each for each in (left, timeout, self._idle) if each is not None)
        return _Stream(super().connect_tcp(address, port, wait), self._deadline, self._idle)


class _Body(httpx.SyncByteStream):
    """A body that is read as it comes, and closed with its connection."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


@cache
def public_authorities() -> ssl.SSLContext:
    """Trust in public authorities; reading them takes longer than a message. Shared: never change it."""
    return httpx.create_ssl_context(trust_env=False)


class Transport(httpx.BaseTransport):
    """httpx over guarded connections, one at a time.

    `deadline` is an instant of `time.monotonic()` for everything that is done with it. `idle`: seconds without a byte
    after which a connection is given up. With a `proxy` it is the proxy's address that is checked.
    """

    def __init__(
        self,
        deadline: float,
        allow_private: bool,
        context: ssl.SSLContext | None = None,
        proxy: httpcore.Proxy | None = None,
        idle: float | None = None,
    ) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=context or public_authorities(),
            max_connections=1,
            proxy=proxy,
            network_backend=_Backend(deadline, allow_private, idle),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        assert isinstance(request.stream, httpx.SyncByteStream)
        sent = httpcore.Request(
            request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        response = self._pool.handle_request(sent)
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    def close(self) -> None:
        self._pool.close()


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and what lies below it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
