"""Repository URLs: which are allowed, which name the same repository, which credentials fit. Pure.

A repository is of one kind: `git`, `helm` (chart archives behind an index.yaml) or `oci` (a registry).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from driftline.model.errors import Permanent

DEFAULT_PORTS = {"https": 443, "http": 80, "ssh": 22}
GIT, HELM, OCI = "git", "helm", "oci"
OCI_SCHEME = "oci://"

_USER = r"[A-Za-z0-9._~!$&'()*+,;=%][A-Za-z0-9._~!$&'()*+,;=%-]*"
_HOST = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]+\]"
_SCHEME_FORM = re.compile(
    rf"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:(?P<user>{_USER})(?::(?P<password>[^@/\s]*))?@)?"
    rf"(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?(?P<path>/[^\\?#]*)?"
)
_SCP_FORM = re.compile(rf"(?:(?P<user>{_USER})@)?(?P<host>{_HOST}):(?P<path>[^:\\?#-][^\\?#]*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]|%0[0-9a-f]|%1[0-9a-f]|%7f", re.IGNORECASE)
_DOTS = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_MAX_LENGTH = 2048


@dataclass(frozen=True)
class Parts:
    """A repository URL taken apart. `port` is None where the scheme's default is meant; `path` has no leading slash."""

    scheme: str
    user: str
    password: str
    host: str
    port: int | None
    path: str


def parse(url: str) -> Parts | None:
    """Take a URL or an scp form (`git@host:path`, read as ssh) apart; None for anything else, files included."""
    if _CONTROL.search(url) or len(url) > _MAX_LENGTH:
        return None
    if match := _SCHEME_FORM.fullmatch(url):
        scheme, port = match["scheme"].lower(), int(match["port"]) if match["port"] else None
        if port == DEFAULT_PORTS.get(scheme):
            port = None
        path = (match["path"] or "").lstrip("/")
        return Parts(scheme, match["user"] or "", match["password"] or "", match["host"].lower(), port, path)
    if "://" not in url and (match := _SCP_FORM.fullmatch(url)):
        return Parts("ssh", match["user"] or "", "", match["host"].lower(), None, match["path"].lstrip("/"))
    return None


def kind_of(url: str, chart: str = "") -> str:
    """Which kind of repository a source names: charts come from a registry if the URL has `oci://` or no scheme."""
    text = url.strip()
    if text.lower().startswith(OCI_SCHEME):
        return OCI
    if not chart:
        return GIT
    return HELM if "://" in text else OCI


def registry_url(url: str) -> str:
    """The spelling of a registry's URL with its scheme: Argo CD writes it without for charts."""
    text = url.strip()
    return text if text.lower().startswith(OCI_SCHEME) else OCI_SCHEME + text


def identity(url: str, kind: str = GIT) -> str:
    """`normalise` for a repository of any kind: `host/path` and `oci://host/path` are one registry."""
    return normalise(registry_url(url) if kind == OCI else url)


def identities(url: str) -> tuple[str, ...]:
    """Every `identity` that a URL may stand for where nobody says of which kind it is."""
    return tuple(dict.fromkeys((identity(url), identity(url, OCI)))) if "://" not in url else (identity(url),)


def validate(url: str, kind: str, allow_file: bool = False, template: bool = False) -> None:
    """Accept the URL of a repository of a kind; raise Permanent, saying why, for all else.

    A `template`, whose credentials serve every repository below it, may be a registry's host alone.
    """
    if kind == GIT:
        validate_repository(url, allow_file)
        return
    if _CONTROL.search(url):
        raise Permanent(f"{shown_url(url)}: a repository URL must not contain control characters, encoded or not")
    parts = parse(registry_url(url) if kind == OCI else url)
    wanted = ("https", "http") if kind == HELM else ("oci",)
    if parts is None or parts.scheme not in wanted or not url.strip():
        hint = "https://HOST/PATH" if kind == HELM else "HOST/PATH or oci://HOST/PATH"
        raise Permanent(
            f"{shown_url(url)}: is no URL of {'a chart repository' if kind == HELM else 'a registry'}; give {hint}"
        )
    if _DOTS.search(parts.path):
        raise Permanent(f"{shown_url(url)}: a repository URL must not contain '.' or '..' segments")
    if parts.port is not None and not 0 < parts.port < 65536:
        raise Permanent(f"{shown_url(url)}: {parts.port} is no port")
    if kind == OCI and (parts.user or parts.password):
        raise Permanent(f"{shown_url(url)}: a registry's URL must not hold a user; register it with --username")


def validate_repository(url: str, allow_file: bool = False) -> None:
    """Accept https, http, ssh and scp forms of a repository URL; raise Permanent, saying why, for all else.

    Nothing in a URL is ever expanded: `$HOME` and `~` are part of the name. `allow_file` admits absolute paths and
    `file://` URLs and is for tests and local demos only.
    """
    shown = shown_url(url)
    if not url.strip():
        raise Permanent("repository URL: is empty; give https://HOST/PATH or git@HOST:PATH")
    if _CONTROL.search(url):
        raise Permanent(f"{shown}: a repository URL must not contain control characters, encoded or not")
    if allow_file and (url.startswith(("/", "file:///"))):
        return
    parts = parse(url)
    if parts is None or parts.scheme not in DEFAULT_PORTS or not parts.path.strip("/"):
        raise Permanent(f"{shown}: is no repository URL; give https://HOST/PATH or ssh://USER@HOST/PATH")
    if _DOTS.search(parts.path):
        raise Permanent(f"{shown}: a repository URL must not contain '.' or '..' segments")
    if parts.path.startswith("-"):
        raise Permanent(f"{shown}: the path of a repository must not start with '-'")
    if parts.port is not None and not 0 < parts.port < 65536:
        raise Permanent(f"{shown}: {parts.port} is no port")
    if parts.scheme == "ssh" and parts.password:
        raise Permanent(f"{shown}: an SSH URL must not hold a password; give a private key instead")


@dataclass(frozen=True)
class Login:
    """What a web URL holds of a login, decoded; `url` is the URL without it."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)


def login_of(url: str) -> Login:
    """Part a web URL from its user and password. The user of an SSH URL is part of it and stays."""
    parts = parse(url)
    if parts is None or parts.scheme not in ("https", "http") or "@" not in url:
        return Login(url)
    bare = re.sub(r"^([^/]*//)[^/]*@", r"\1", url)
    return Login(bare, unquote(parts.user), unquote(parts.password))


def shown_url(url: str) -> str:
    """The URL for messages: user and password of web URLs left out, control characters replaced, cut at 200."""
    text = re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/]*@", r"\1", url)
    if not text.startswith("http") and (parts := parse(url)) and parts.scheme == "ssh" and not parts.password:
        text = url
    return "".join(char if char.isprintable() else "�" for char in text[:200]) or "''"


def normalise(url: str) -> str:
    """The spelling that equal repositories share: lower case, no userinfo, default port or trailing `.git`.

    `git@host:path` equals `ssh://git@host/path`. What cannot be parsed is only trimmed and lower-cased.
    """
    text = url.strip()
    parts = parse(text)
    if parts is None:
        return text.lower().rstrip("/").removesuffix(".git")
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{parts.scheme}://{parts.host}{port}/{_bare_path(parts.path)}"


def same(url_a: str, url_b: str) -> bool:
    """Whether two URLs are the same repository over the same transport."""
    return normalise(url_a) == normalise(url_b)


def announces(announced: str, declared: str) -> bool:
    """Whether a URL in a webhook may mean the declared repository: host and path, whatever the transport and port.

    Git hosts announce one repository under web, HTTPS and SSH addresses, SSH also under `ssh.HOST` or `altssh.HOST`.
    A hint only: it decides what is looked at, never what is trusted. Compared as text, not as a pattern.
    """
    parts_a, parts_b = parse(announced.strip()), parse(declared.strip())
    if parts_a is None or parts_b is None:
        return same(announced, declared)
    return _place(parts_a) == _place(parts_b)


def longest_prefix(url: str, prefixes: Iterable[str]) -> str | None:
    """The longest of `prefixes` that covers `url`: same transport, host and port, path equal up to a `/`.

    Returns it as given, or None. `https://good.example.evil.test` and `https://good.example@evil.test` are not covered
    by `https://good.example`. Credentials may go to nothing that this does not cover.
    """
    target = parse(url.strip())
    if target is None or _DOTS.search(target.path):
        return None
    path = _bare_path(target.path)
    fitting = []
    for prefix in prefixes:
        parts = parse(prefix.strip())
        if parts is None or (parts.scheme, parts.host, parts.port) != (target.scheme, target.host, target.port):
            continue
        stem = _bare_path(parts.path)
        if not stem or path == stem or path.startswith(stem + "/"):
            fitting.append((len(stem), prefix))
    return max(fitting)[1] if fitting else None


def _bare_path(path: str) -> str:
    return path.strip("/").lower().removesuffix(".git").rstrip("/")


def _place(parts: Parts) -> tuple[str, str]:
    host = parts.host
    for prefix in ("ssh.", "altssh."):
        host = host.removeprefix(prefix)
    return host, _bare_path(parts.path)
