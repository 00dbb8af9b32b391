"""POST to an address that a tenant chose: only to the outside, to the address that was checked, within a deadline.

`adapters.http` opens the connections. No proxy, no redirect; at most a little of the answer is read.
"""

import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpcore
import httpx

from driftline.adapters.http.addresses import Refused
from driftline.adapters.http.guarded import Transport, causes
from driftline.adapters.http.waiting import retry_after
from driftline.model.errors import Permanent, Temporary

DEADLINE = 15.0
"""Seconds for one request, all of it."""
LONGEST_ANSWER = 4096
"""Bytes of an answer that are read at most."""


@dataclass(frozen=True)
class Answer:
    """What came back: the status and the start of the body, which is never shown to anybody."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def post(url: str, body: bytes, headers: Mapping[str, str], name: str, allow_private: bool = False) -> Answer:
    """POST `body` to `url`. `name` stands for the URL in messages, because URLs of webhooks are secrets.

    Raises Temporary if no answer comes in time, Permanent if the URL is none or leads inside. Redirects are not
    followed. `allow_private` opens private and loopback addresses, never link-local ones (cloud metadata).
    """
    deadline = time.monotonic() + DEADLINE
    try:
        with Transport(deadline, allow_private) as transport:
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
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{name}: its certificate is not trusted ({cause.verify_message})", timedelta(minutes=5)
        if isinstance(cause, ssl.SSLError):
            return f"{name}: TLS failed ({cause.reason or 'handshake'})", timedelta(minutes=5)
        if isinstance(cause, socket.gaierror):
            return f"{name}: the host name cannot be resolved", timedelta(seconds=30)
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
