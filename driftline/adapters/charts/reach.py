"""What a repository's access means for one URL: who may see its credentials, and how a connection is opened.

Pure but for the files that OpenSSL wants to read a client certificate from.
"""

import base64
import ssl
import tempfile
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import httpcore
import httpx

from driftline.adapters.http.guarded import public_authorities
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent

_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Origin:
    """Scheme, host and port of a URL: what credentials are bound to."""

    scheme: str
    host: str
    port: int


def origin_of(url: str, shown: str) -> Origin:
    """The origin of a web address. Raises Permanent for what is none; `shown` names it in the message."""
    # Taken apart by the same code that will connect: two readings of one URL are a way past every check.
    try:
        parts = httpx.URL(url)
        host = parts.raw_host.decode("ascii").rstrip(".")
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except (httpx.InvalidURL, ValueError):
        raise Permanent(f"{shown}: is no web address") from None
    if parts.scheme not in _PORTS or not host or port > 65535:
        raise Permanent(f"{shown}: is no web address; give https://HOST/PATH")
    return Origin(parts.scheme, host, port)


@dataclass(frozen=True)
class Reach:
    """How the hosts of one repository are reached. `base` is the repository's own URL, as http or https."""

    access: RepositoryAccess
    base: str
    shown: str
    own: Origin = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "own", origin_of(self.base, self.shown))
        for name in ("username", "password", "bearer_token", "proxy"):
            if any(ord(char) < 0x20 or ord(char) == 0x7F for char in getattr(self.access, name)):
                raise Permanent(f"{self.shown}: {name} must not contain control characters")

    def trusts(self, there: Origin) -> bool:
        """Whether a host may see this repository's credentials: its own, and others only where that was asked for."""
        if there == self.own:
            return True
        return self.access.pass_credentials and (there.scheme == "https" or self.own.scheme == "http")

    @property
    def login(self) -> tuple[str, str] | None:
        """User name and password, those of the URL included."""
        url = httpx.URL(self.base)
        username, password = self.access.username or url.username, self.access.password or url.password
        return (username, password) if username or password else None

    @property
    def authorization(self) -> str:
        """The header's value, empty without credentials."""
        if self.access.bearer_token:
            return f"Bearer {self.access.bearer_token}"
        if self.login is None:
            return ""
        return f"Basic {base64.b64encode(':'.join(self.login).encode()).decode()}"

    def context(self, there: Origin) -> ssl.SSLContext:
        """Which certificates are believed, and which one is shown. Raises Permanent for PEM that cannot be read."""
        access = self.access
        own_certificate = bool(access.client_certificate and access.client_key) and self.trusts(there)
        if not (access.insecure or access.ca or own_certificate):
            return public_authorities()
        context = httpx.create_ssl_context(verify=not access.insecure, trust_env=False)
        try:
            if access.ca and not access.insecure:
                context.load_verify_locations(cadata=access.ca)
            if own_certificate:
                _show(context, access)
        except (ssl.SSLError, ValueError, OSError):
            raise Permanent(f"{self.shown}: its CA or client certificate is no PEM that can be read") from None
        return context

    def proxy(self, there: Origin) -> httpcore.Proxy | None:
        """The proxy for a host, None where it is reached directly."""
        if not self.access.proxy or bypassed(there, self.access.no_proxy):
            return None
        text = self.access.proxy if "://" in self.access.proxy else f"http://{self.access.proxy}"
        origin = origin_of(text, f"{self.shown}: its proxy")
        url = httpx.URL(text)
        login = (url.username, url.password) if url.username else None
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        context = self.context(origin) if origin.scheme == "https" else None
        return httpcore.Proxy(f"{origin.scheme}://{host}:{origin.port}", auth=login, ssl_context=context)


def bypassed(there: Origin, no_proxy: str) -> bool:
    """Whether `no_proxy` (`host`, `.domain`, `host:port`, `*`, separated by commas) names a host."""
    return bool(
        urllib.request.proxy_bypass_environment(f"{there.host}:{there.port}", {"no": no_proxy})  # type: ignore[attr-defined]
        or urllib.request.proxy_bypass_environment(there.host, {"no": no_proxy})  # type: ignore[attr-defined]
    )


def _show(context: ssl.SSLContext, access: RepositoryAccess) -> None:
    # OpenSSL's loader only takes files: they exist for this call, readable by nobody else.
    with tempfile.TemporaryDirectory(prefix="driftline-tls-") as directory:
        certificate, key = Path(directory) / "client.pem", Path(directory) / "client.key"
        certificate.write_text(access.client_certificate)
        key.touch(mode=0o600)
        key.write_text(access.client_key)
        # An encrypted key would ask for its password on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: b"")
