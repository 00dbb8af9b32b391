"""Hands the credentials of one repository to one git command, by its environment, and takes them away again."""

import base64
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from driftline.adapters.git.command import REMOTE
from driftline.adapters.git.settings import GitSettings
from driftline.desired.urls import Parts, parse, shown_url, validate_repository
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent


@dataclass(frozen=True)
class Reach:
    """How git reaches a repository: configuration and variables of its environment, and what logs must not show."""

    config: Mapping[str, str] = field(repr=False)
    variables: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@contextmanager
def reach(access: RepositoryAccess, settings: GitSettings, scratch: Path) -> Iterator[Reach]:
    """Yield what git needs to reach `access.url`. Raises Permanent for a URL or credential that cannot be right.

    Only what must be a file becomes one (SSH key, known hosts, certificates): mode 0600, in a directory of its own
    under `scratch`, gone when the command is.
    """
    check_access(access, settings)
    parts = parse(access.url)
    if parts is None:
        yield Reach({f"remote.{REMOTE}.url": access.url}, {})
        return
    files = _Files(scratch)
    try:
        if parts.scheme == "ssh":
            yield Reach({f"remote.{REMOTE}.url": access.url}, _ssh(access, settings, files), _secrets(access))
        else:
            yield _web(access, parts, files)
    finally:
        files.remove()


def check_access(access: RepositoryAccess, settings: GitSettings) -> None:
    """Raise Permanent if the URL is refused, or a credential holds what could break out of a header or a setting."""
    validate_repository(access.url, settings.allow_file)
    shown = shown_url(access.url)
    if not settings.allow_http and access.url.lower().startswith("http://"):
        raise Permanent(f"{shown}: plain http is not allowed here; use https")
    for name in ("username", "password", "bearer_token", "proxy"):
        if not _single_line(getattr(access, name)):
            raise Permanent(f"{shown}: {name} must not contain control characters")
    if access.bearer_token and access.password:
        raise Permanent(f"{shown}: give either a password or a bearer token, not both")


def _web(access: RepositoryAccess, parts: Parts, files: "_Files") -> Reach:
    port = f":{parts.port}" if parts.port is not None else ""
    url = f"{parts.scheme}://{parts.host}{port}/{parts.path}"
    # Bound to this host: even if git were to follow a redirect, another host would see none of it.
    scope = f"http.{parts.scheme}://{parts.host}{port}/"
    config = {f"remote.{REMOTE}.url": url, "http.proxySSLVerify": "true"}
    username, password = access.username or unquote(parts.user), access.password or unquote(parts.password)
    header = ""
    if access.bearer_token:
        header = f"Bearer {access.bearer_token}"
    elif username or password:
        # Git hosts that take a token as password accept any user name, but not an empty one.
        pair = f"{username or 'git'}:{password}".encode()
        header = f"Basic {base64.b64encode(pair).decode()}"
    if header:
        config[f"{scope}.extraHeader"] = f"Authorization: {header}"
    config |= _tls(access, files)
    if access.proxy:
        config["http.proxy"] = access.proxy
    # Makes git show the answer's headers, among them Retry-After; it blanks authorization out.
    variables = {"GIT_TRACE_CURL": "1", "GIT_TRACE_CURL_NO_DATA": "1"}
    if access.no_proxy:
        variables |= {"no_proxy": access.no_proxy, "NO_PROXY": access.no_proxy}
    return Reach(config, variables, (*_secrets(access), password, header.partition(" ")[2]))


def _tls(access: RepositoryAccess, files: "_Files") -> dict[str, str]:
    if access.insecure:
        return {"http.sslVerify": "false"}
    config = {"http.sslVerify": "true"}
    if access.ca:
        config["http.sslCAInfo"] = files.write("ca.pem", access.ca)
    if access.client_certificate and access.client_key:
        config["http.sslCert"] = files.write("client.pem", access.client_certificate)
        config["http.sslKey"] = files.write("client.key", access.client_key)
    return config


def _ssh(access: RepositoryAccess, settings: GitSettings, files: "_Files") -> dict[str, str]:
    """Variables for OpenSSH: this key and these host keys and nothing else, no configuration, no questions."""
    known = files.write("known_hosts", _lines(access.known_hosts))
    timeout = int(settings.connect_timeout.total_seconds())
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(timeout),
        "ServerAliveInterval": str(timeout),
        "ServerAliveCountMax": "2",
        "StrictHostKeyChecking": "no" if access.insecure else "yes",
        "UserKnownHostsFile": os.devnull if access.insecure else known,
        "GlobalKnownHostsFile": os.devnull,
        "UpdateHostKeys": "no",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "ForwardAgent": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        "LogLevel": "ERROR",
    }
    if access.ssh_private_key:
        options["IdentityFile"] = files.write("key", _lines(access.ssh_private_key))
    else:
        options["IdentityFile"] = "none"
    words = ["ssh", "-F", os.devnull, "-T"]
    for name, value in options.items():
        words += ["-o", f"{name}={value}"]
    # Git hands this to a shell: every word is quoted, and none of them comes from a user.
    return {"GIT_SSH_COMMAND": shlex.join(words), "GIT_SSH_VARIANT": "ssh"}


class _Files:
    """A private directory that exists only if something had to be written."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._directory: Path | None = None

    def write(self, name: str, text: str) -> str:
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(dir=self._scratch))
        path = self._directory / name
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        return str(path)

    def remove(self) -> None:
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)


def _secrets(access: RepositoryAccess) -> tuple[str, ...]:
    proxy = parse(access.proxy) if access.proxy else None
    return (access.password, access.bearer_token, proxy.password if proxy else "")


def _lines(text: str) -> str:
    """Text as OpenSSH wants its files: Unix line ends, one at the end."""
    return text.replace("\r\n", "\n").strip("\n") + "\n"


def _single_line(text: str) -> bool:
    return not any(ord(char) < 32 or ord(char) == 127 for char in text)
