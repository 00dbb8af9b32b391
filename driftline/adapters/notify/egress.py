"""POST to an address that a tenant chose: only to the outside, to the address that was checked, within a deadline.

The name is resolved once, every address it has is checked, and the connection goes to a checked one, so that a name
cannot change its mind in between. No proxy, no netrc, no redirect, no cookie; at most a little of the answer is read.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpcore
import httpx

from driftline.model.errors import Permanent, Temporary

DEADLINE = 15.0
"""Seconds for one request, all of it."""
LONGEST_ANSWER = 4096
"""Bytes of an answer that are read at most."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_TUNNELS = tuple(ipaddress.ip_network(text) for text in ("64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96"))


@dataclass(frozen=True)
class Answer:
    """What came back: the status and the start of the body, which is never shown to anybody."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Refused(Exception):
    """The name leads to an address that alerts may not go to."""


def post(url: str, body: bytes, headers: Mapping[str, str], name: str, allow_private: bool = False) -> Answer:
    """POST `body` to `url`. `name` stands for the URL in messages, because URLs of webhooks are secrets.

    Raises Temporary if no answer comes in time, Permanent if the URL is none or leads inside. Redirects are not
    followed. `allow_private` opens private and loopback addresses, never link-local ones (cloud metadata).
    """
    deadline = time.monotonic() + DEADLINE
    try:
        with _Transport(deadline, allow_private) as transport:
            return _read(transport, _request(url, body, headers))
    except Refused as error:
        raise Permanent(
            f"{name}: leads to an address inside ({error}); alerts go only to public addresses unless "
            "DRIFTLINE_ALERT_PRIVATE_ADDRESSES is true"
        ) from None
    except ssl.SSLError as error:
        raise Temporary(f"{name}: TLS failed ({error.reason or 'handshake'})", timedelta(minutes=5)) from None
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError, ValueError):
        raise Permanent(f"{name}: not an http or https URL; correct the recipient") from None
    except (httpx.TimeoutException, httpcore.TimeoutException, TimeoutError):
        raise Temporary(f"{name}: no answer within {DEADLINE:g} s") from None
    except (httpx.HTTPError, httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        raise Temporary(*_reason(name, error)) from None


def _reason(name: str, error: BaseException) -> tuple[str, timedelta]:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{name}: its certificate is not trusted ({cause.verify_message})", timedelta(minutes=5)
        if isinstance(cause, ssl.SSLError):
            return f"{name}: TLS failed ({cause.reason or 'handshake'})", timedelta(minutes=5)
        if isinstance(cause, socket.gaierror):
            return f"{name}: the host name cannot be resolved", timedelta(seconds=30)
        cause = cause.__cause__ or cause.__context__
    return f"{name}: connection failed ({type(error).__name__})", timedelta(seconds=10)


def _request(url: str, body: bytes, headers: Mapping[str, str]) -> httpx.Request:
    request = httpx.Request("POST", url, content=body, headers=dict(headers))
    if request.url.scheme not in ("http", "https") or not request.url.host or (request.url.port or 1) > 65535:
        raise httpx.UnsupportedProtocol("not a web address")
    if request.url.username or request.url.password:
        login = httpx.BasicAuth(request.url.username, request.url.password)
        request = next(login.sync_auth_flow(request))
    return request


def _read(transport: httpx.BaseTransport, request: httpx.Request) -> Answer:
    # Not through httpx.Client: that one logs each URL, and Sentry's patch of it keeps the URL as a breadcrumb.
    response = transport.handle_request(request)
    try:
        start = b""
        # `iter_raw`: an answer that unpacks to gigabytes is nothing we want to unpack.
        for piece in response.iter_raw():
            start += piece
            if len(start) >= LONGEST_ANSWER:
                break
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, found, start[:LONGEST_ANSWER])
    finally:
        response.close()


def verdict(answer: Answer, name: str) -> None:
    """Return if the message was taken; raise Temporary or Permanent, with the status and nothing of the body."""
    status = answer.status
    if 200 <= status < 300:
        return
    if status in (408, 425, 429) or status >= 500:
        raise Temporary(f"{name}: answered {status}", retry_after(answer.headers, datetime.now(UTC)))
    if 300 <= status < 400:
        raise Permanent(f"{name}: answered {status}; redirects are not followed, give the final URL")
    raise Permanent(f"{name}: answered {status}; check the recipient and its access")


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta:
    """The wait that a server asks for, in seconds or as a date; 10 s if it names none, a day at most.

    `headers` has lower-case names. Source: RFC 9110, 10.2.3.
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdecimal():
        return timedelta(seconds=min(int(asked[:9]), 86400))
    try:
        wait = parsedate_to_datetime(asked) - now
    except (ValueError, TypeError):
        return timedelta(seconds=10)
    return min(max(wait, timedelta(seconds=1)), timedelta(days=1))


def checked_addresses(host: str, port: int, allow_private: bool) -> list[str]:
    """The addresses of a host, all of them allowed. Raises Refused naming the first that is not, or OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for text in addresses:
        if not allowed(text, allow_private):
            raise Refused(text)
    return addresses


def allowed(text: str, allow_private: bool) -> bool:
    """Whether alerts may go to this IP address. What wraps an IPv4 address is judged by it, or refused."""
    address: Any = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
        address = address.ipv4_mapped or wrapped or address
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if address.version == 6 and not address.is_loopback:
        if any(address in tunnel for tunnel in _TUNNELS):
            return False
        if address.is_site_local:
            return allow_private
    return allow_private or (address.is_global and not address.is_reserved)


class _Stream(httpcore.NetworkStream):
    """A connection whose every read and write ends at the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("deadline")
        return left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, self._left()), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    """Opens connections to checked addresses only."""

    def __init__(self, deadline: float, allow_private: bool) -> None:
        self._deadline, self._allow_private = deadline, allow_private

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
        return _Stream(super().connect_tcp(address, port, min(left, timeout or left)), self._deadline)


class _Body(httpx.SyncByteStream):
    """A body that is read as it comes, and closed with its connection."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


@cache
def _context() -> ssl.SSLContext:
    """Trust in public authorities; reading them takes longer than a message."""
    return httpx.create_ssl_context(trust_env=False)


class _Transport(httpx.BaseTransport):
    """httpx over one guarded connection."""

    def __init__(self, deadline: float, allow_private: bool) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=_context(), max_connections=1, network_backend=_Backend(deadline, allow_private)
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
