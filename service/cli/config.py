"""Which server and token a command uses: options, then the environment, then what `driftline login` has written."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.cli.failing import Problem

DEFAULT = "http://127.0.0.1:8080"
SERVER_NAMES = ("DRIFTLINE_SERVER", "ARGOCD_SERVER")
TOKEN_NAMES = ("DRIFTLINE_AUTH_TOKEN", "ARGOCD_AUTH_TOKEN")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Target:
    """A server, and how to talk to it. `named`: somebody said which one, it is not just the default."""

    server: str
    token: str
    insecure: bool = False
    named: bool = True


def path() -> Path:
    """Where `login` writes: DRIFTLINE_CONFIG, else driftline/config.json in the user's configuration directory."""
    if given := os.environ.get("DRIFTLINE_CONFIG"):
        return Path(given)
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "driftline" / "config.json"


def read() -> dict[str, Any]:
    """What was written, empty if nothing was."""
    try:
        found = json.loads(path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Problem(f"{path()}: cannot be read ({error}); log in again") from None
    return found if isinstance(found, dict) else {}


def remember(server: str, token: str, insecure: bool) -> None:
    """Make a server the current one, with its token; an empty token forgets it. The file is for its owner only."""
    found = read()
    servers = dict(found.get("servers") or {})
    if token:
        servers[server] = {"token": token, "insecure": insecure}
    else:
        servers.pop(server, None)
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        json.dump({"current": server if token else "", "servers": servers}, out, indent=2)
    draft.replace(file)


def target(options: Mapping[str, Any]) -> Target:
    """The server and token for one command."""
    known = read()
    server = options.get("server") or _first(SERVER_NAMES) or known.get("current") or ""
    named = bool(server)
    url = url_of(server, bool(options.get("plaintext"))) if server else _here()
    entry = (known.get("servers") or {}).get(url) or {}
    token = options.get("auth_token") or _first(TOKEN_NAMES) or entry.get("token", "")
    return Target(url, token, bool(options.get("insecure") or entry.get("insecure")), named)


def url_of(server: str, plaintext: bool) -> str:
    """The URL of a server as people write it: Argo CD's `host:port` is https, but http for this machine."""
    text = server.rstrip("/")
    if "://" not in text:
        local = text.rpartition(":")[0] in _LOOPBACK or text in _LOOPBACK
        text = f"{'http' if plaintext or local else 'https'}://{text}"
    if not text.startswith(("http://", "https://")):
        raise Problem(f"server {server}: want an http:// or https:// URL, or host:port")
    return text


def _here() -> str:
    """Where the web process of this machine listens."""
    listen = os.environ.get("DRIFTLINE_LISTEN", "")
    host, _, port = listen.rpartition(":")
    return f"http://{host if host not in ('', '0.0.0.0', '[::]') else '127.0.0.1'}:{port}" if port else DEFAULT  # noqa: S104


def _first(names: tuple[str, ...]) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")
