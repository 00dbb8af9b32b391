"""GETs on behalf of one repository, within one deadline: redirects, sizes, credentials, and what failures mean.

Credentials go to the repository's own origin and nowhere else (unless its owner wants that), link-local and metadata
addresses are never reached, and a repository outside leads to no address inside.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from urllib.parse import urlsplit

import httpcore
import httpx

from driftline.adapters.charts.reach import Origin, Reach, origin_of
from driftline.adapters.charts.settings import ChartSettings
from driftline.adapters.http.addresses import Refused, allowed, checked_addresses
from driftline.adapters.http.guarded import Transport, causes
from driftline.adapters.http.gunzip import NotGzip, gunzipped
from driftline.adapters.http.waiting import retry_after
from driftline.model.errors import Failure, Permanent, Temporary

_REDIRECTS = (301, 302, 303, 307, 308)
_LATER = (408, 425, 429)
_UNTRUSTED = "certificate not trusted; give the CA that signed it"


@dataclass(frozen=True)
class Ask:
    """One GET, or a HEAD. `limit` bounds the body in bytes, unpacked if it comes packed.

    A larger one is an error, not cut off.
    """

    url: str
    limit: int
    headers: Mapping[str, str] = field(default_factory=dict)
    packed: bool = False
    """Whether the server may compress the body on the way."""
    authorization: str | None = None
    """Sent in place of the repository's own, to the same hosts."""
    entrusted: Origin | None = None
    """One more host that may see it: a token service that the repository's own host named."""
    into: Callable[[bytes], object] | None = None
    """Takes the body of a 200 in pieces; the answer's is empty then."""
    verified: bool = False
    """Whether the body is checked by a digest afterwards, so that https may lead to http."""
    passed: tuple[int, ...] = ()
    """Statuses beside 200 that are answers to the caller; every other one is raised."""
    method: str = "GET"


@dataclass(frozen=True)
class Answer:
    """`headers` has lower-case names. The body of a status beside 200 is cut at 64 KiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Web:
    """The connections of one look into one repository; used as a context manager."""

    def __init__(self, reach: Reach, settings: ChartSettings) -> None:
        self.reach, self._settings = reach, settings
        self._deadline = time.monotonic() + settings.deadline.total_seconds()
        self._transports: dict[Origin, Transport] = {}

    def __enter__(self) -> "Web":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for transport in self._transports.values():
            transport.close()

    def get(self, ask: Ask) -> Answer:
        """The answer to a GET, redirects followed. Raises Temporary or Permanent, the URL first."""
        url = ask.url
        for _ in range(self._settings.redirects + 1):
            shown = shown_address(url)
            there = origin_of(url, shown)
            if self.reach.own.scheme == "https" and there.scheme == "http" and not ask.verified:
                raise Permanent(
                    f"{shown_address(ask.url)}: leads to {shown}, which is not encrypted; it is not followed"
                )
            answer = self._once(ask, url, there, shown)
            if answer.status not in _REDIRECTS:
                return self._judged(ask, answer, shown)
            url = _joined(url, answer.headers.get("location", ""), shown)
        raise Permanent(f"{shown_address(ask.url)}: more than {self._settings.redirects} redirects; give the final URL")

    def _once(self, ask: Ask, url: str, there: Origin, shown: str) -> Answer:
        try:
            request = httpx.Request(ask.method, url, headers=self._headers(ask, there))
            # Not through httpx.Client: that one logs each URL, and Sentry's patch of it keeps the URL as a breadcrumb.
            response = self._transport(there, shown).handle_request(request)
            try:
                return self._read(ask, response, shown)
            finally:
                response.close()
        except Failure:
            raise
        except Exception as error:
            raise self._explained(shown, error) from None

    def _headers(self, ask: Ask, there: Origin) -> dict[str, str]:
        headers = {"user-agent": "driftline", "accept-encoding": "gzip" if ask.packed else "identity", **ask.headers}
        authorization = self.reach.authorization if ask.authorization is None else ask.authorization
        if authorization and (self.reach.trusts(there) or there == ask.entrusted):
            headers["authorization"] = authorization
        return headers

    def _transport(self, there: Origin, shown: str) -> Transport:
        if there not in self._transports:
            inside = self._may_be_inside(there)
            proxy = self.reach.proxy(there)
            if proxy is not None and _is_address(there.host) and not allowed(there.host, inside):
                raise Refused(there.host)
            self._transports[there] = Transport(
                self._deadline,
                # A proxy is the operator's choice; names are resolved behind it.
                inside or proxy is not None,
                self.reach.context(there) if there.scheme == "https" else None,
                proxy,
                self._settings.idle.total_seconds(),
            )
        return self._transports[there]

    def _may_be_inside(self, there: Origin) -> bool:
        """Whether private addresses are all right: at home they are, elsewhere only if home is inside itself."""
        if self.reach.access.public_only:
            return False
        if there == self.reach.own:
            return True
        try:
            checked_addresses(self.reach.own.host, self.reach.own.port, allow_private=False)
        except Refused:
            return True
        except OSError:
            return False  # a name that leads nowhere does not lead inside
        return False

    def _read(self, ask: Ask, response: httpx.Response, shown: str) -> Answer:
        headers = {name.lower(): value for name, value in response.headers.items()}
        status = response.status_code
        if status != 200:
            start = next(iter(response.iter_raw()), b"") if status in ask.passed and status >= 400 else b""
            return Answer(status, headers, start[:65536])
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:18]) > ask.limit:
            raise _too_large(shown, ask.limit)
        pieces: Iterable[bytes] = response.iter_raw()
        if ask.packed and headers.get("content-encoding", "").lower() in ("gzip", "x-gzip"):
            pieces = gunzipped(pieces)
        return Answer(status, headers, _collected(pieces, ask, shown))

    def _judged(self, ask: Ask, answer: Answer, shown: str) -> Answer:
        status = answer.status
        if status == 200 or status in ask.passed:
            return answer
        if status in _LATER or status >= 500:
            raise Temporary(f"{shown}: answered {status}", retry_after(answer.headers, datetime.now(UTC)))
        if status in (401, 403, 407):
            raise Permanent(f"{shown}: authentication failed (HTTP {status}); check the repository's credentials")
        if status in (404, 410):
            raise Permanent(f"{shown}: does not exist (HTTP {status}); check the URL")
        raise Permanent(f"{shown}: answered {status}; check the URL")

    def _explained(self, shown: str, error: Exception) -> Failure:
        for cause in causes(error):
            if isinstance(cause, Refused):
                return Permanent(f"{shown}: leads to an address inside ({cause}), which is not reached from there")
            if isinstance(cause, NotGzip):
                return Temporary(f"{shown}: what it sent is damaged; it is tried again")
            if isinstance(cause, ssl.SSLCertVerificationError):
                return Permanent(f"{shown}: {_UNTRUSTED} ({cause.verify_message})")
            if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
                return Temporary(f"{shown}: TLS failed ({cause.reason or 'handshake'})", timedelta(minutes=5))
            if isinstance(cause, socket.gaierror):
                return Temporary(f"{shown}: host unknown; check the URL and this machine's DNS", timedelta(seconds=30))
            if isinstance(cause, ConnectionRefusedError):
                return Temporary(f"{shown}: connection refused; is the host up?")
        if isinstance(error, httpx.InvalidURL | UnicodeError):
            return Permanent(f"{shown}: is no web address")
        if isinstance(error, httpcore.TimeoutException | TimeoutError):
            return Temporary(f"{shown}: the host does not answer in time")
        if isinstance(error, httpcore.ProxyError):
            return Temporary(f"{shown}: its proxy refused the connection; check the proxy and its login")
        return Temporary(f"{shown}: the connection broke off ({type(error).__name__}); it is tried again")


def _collected(pieces: Iterable[bytes], ask: Ask, shown: str) -> bytes:
    held: list[bytes] = []
    for piece in _counted(pieces, ask.limit, shown):
        if ask.into is not None:
            ask.into(piece)
        else:
            held.append(piece)
    return b"".join(held)


def _counted(pieces: Iterable[bytes], limit: int, shown: str) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise _too_large(shown, limit)
        yield piece


def _too_large(shown: str, limit: int) -> Permanent:
    return Permanent(f"{shown}: is larger than the {limit} bytes that are allowed here")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _joined(url: str, location: str, shown: str) -> str:
    try:
        return str(httpx.URL(url).join(location))
    except (httpx.InvalidURL, ValueError):
        raise Permanent(f"{shown}: redirects to what is no web address") from None


def shown_address(url: str) -> str:
    """A URL for messages: no login, and no query, which may be a signature."""
    try:
        parts = urlsplit(url)
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    except ValueError:
        bare = "the URL"
    return "".join(char if char.isprintable() else "�" for char in bare[:300]) or "''"
