"""Charts in OCI registries: the part of the distribution API that tells of tags, manifests and blobs, read only.

Source: OCI distribution specification 1.1, "Pull" and "Content Discovery"; the token protocol of its implementations;
Helm's media types (https://helm.sh/docs/topics/registries/).
"""

import hashlib
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson

from driftline.adapters.charts.archives import Incoming
from driftline.adapters.charts.reach import origin_of
from driftline.adapters.charts.settings import ChartSettings
from driftline.adapters.charts.tokens import Tokens
from driftline.adapters.charts.web import Answer, Ask, Web
from driftline.desired.releases import version_of
from driftline.model.errors import Permanent

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_MANIFESTS = (MANIFEST, "application/vnd.docker.distribution.manifest.v2+json")
_ARCHIVES = ("application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip")
_FILES = ("application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip")
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')
_CODE = re.compile(r"[A-Z_]{3,40}")
_DOCKER = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}


@dataclass(frozen=True)
class Layer:
    """The blob that holds an archive. `artifact` is the manifest's digest if it is no chart's archive, else empty."""

    digest: str
    manifest: str
    artifact: str = ""

    @property
    def content(self) -> str:
        """What the archive is kept under."""
        return self.artifact or self.digest


def registry_base(url: str, plain_http: bool) -> tuple[str, str]:
    """The web address of a registry and the path in it, from `oci://HOST/PATH` or `HOST/PATH`."""
    rest = url.partition("://")[2] or url
    host, _, path = rest.partition("/")
    login, at, name = host.rpartition("@")
    scheme = "http" if plain_http else "https"
    return f"{scheme}://{login}{at}{_DOCKER.get(name.lower(), name)}", path.strip("/")


class Registry:
    """One repository of a registry. `shown` is what messages call it."""

    def __init__(self, web: Web, name: str, shown: str, settings: ChartSettings, tokens: Tokens | None = None) -> None:
        """Raises Permanent for a name that no repository can have."""
        if not _NAME.fullmatch(name) or len(name) > 255:
            raise Permanent(f"{shown}: is no name of a repository in a registry; they are written in lower case")
        self._web, self._name, self._shown, self._settings = web, name, shown, settings
        self._tokens = tokens or Tokens()
        self._token = self._tokens.get(name)
        self._fresh = False

    def check(self) -> None:
        """Return if the registry answers and takes the login; raise why not."""
        self._get(Ask(self._root(), self._settings.answer_size))

    def tags(self) -> tuple[str, ...]:
        """All tags, as versions where they are some: a registry cannot write `+`, Helm puts `_` in its place."""
        found: list[str] = []
        url = self._url("tags/list?n=1000")
        for _ in range(self._settings.pages):
            answer = self._get(Ask(url, self._settings.answer_size))
            page = _json(answer.body, self._shown).get("tags") or []
            if not isinstance(page, list):
                raise Permanent(f"{self._shown}: its registry's list of tags is none")
            found += [version_of(tag) for tag in page if isinstance(tag, str)]
            following = _NEXT.search(answer.headers.get("link", ""))
            if following is None:
                return tuple(dict.fromkeys(found))
            url = self._own(following[1], url)
        raise Permanent(f"{self._shown}: has more than {self._settings.pages} pages of tags")

    def layer(self, version: str, any_files: bool = False) -> Layer:
        """The archive that a version (or a manifest's digest) stands for. Raises Permanent if it is no Helm chart.

        `any_files`: an artifact whose one layer is an archive of any files will do.
        """
        reference = self._reference(version)
        answer = self._get(self._manifest(reference))
        digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        named = answer.headers.get("docker-content-digest", "")
        for wanted in (reference, named):
            if _DIGEST.fullmatch(wanted) and wanted != digest:
                raise Permanent(f"{self._shown}: {version}: wants manifest {wanted}, the registry sent {digest}")
        return _layer(_json(answer.body, self._shown), f"{self._shown}: {version}", digest, any_files)

    def manifest_digest(self, version: str) -> str:
        """The digest of a version's manifest, by a HEAD: registries do not count it as a pull.

        Empty if the registry does not tell: a GET says why.
        """
        try:
            answer = self._get(replace(self._manifest(self._reference(version)), method="HEAD"))
        except Permanent:
            return ""
        return answer.headers.get("docker-content-digest", "")

    def _reference(self, version: str) -> str:
        reference = version.replace("+", "_")
        if not _TAG.fullmatch(reference) and not _DIGEST.fullmatch(reference):
            raise Permanent(f"{self._shown}: {version[:80]!r} cannot be a tag; give a version or sha256:DIGEST")
        return reference

    def _manifest(self, reference: str) -> Ask:
        url = self._url(f"manifests/{reference}")
        return Ask(url, self._settings.answer_size, {"accept": ", ".join(_MANIFESTS)})

    def pull(self, layer: Layer, into: Incoming) -> None:
        """Write the archive. Raises Permanent if it is not what its digest says."""
        url = self._url(f"blobs/{layer.digest}")
        self._get(Ask(url, self._settings.archive_size, into=into.write, verified=True))
        if into.digest != layer.digest:
            raise Permanent(f"{self._shown}: wants archive {layer.digest}, the registry sent {into.digest}")

    def _url(self, rest: str) -> str:
        return f"{self._root()}{self._name}/{rest}"

    def _root(self) -> str:
        own = self._web.reach.own
        host = f"[{own.host}]" if ":" in own.host else own.host
        return f"{own.scheme}://{host}:{own.port}/v2/"

    def _own(self, link: str, url: str) -> str:
        """The next page, which has to be this registry's own."""
        try:
            following = str(httpx.URL(url).join(link))
        except (httpx.InvalidURL, ValueError):
            following = ""
        if not following or origin_of(following, self._shown) != self._web.reach.own:
            raise Permanent(f"{self._shown}: its list of tags goes on at another host, which is not followed")
        return following

    def _get(self, ask: Ask) -> Answer:
        """A GET with what the registry wants to see: nothing, the login, or a token that it was exchanged for."""
        reach = self._web.reach
        authorization = self._token if self._token is not None else reach.authorization
        first = Ask(**{**vars(ask), "authorization": authorization, "passed": (401, 403, 404)})
        answer = self._web.get(first)
        challenge = _challenge(answer.headers.get("www-authenticate", ""))
        if answer.status == 401 and not self._fresh and challenge is not None and not reach.access.bearer_token:
            self._token, self._fresh = self._exchanged(challenge), True
            answer = self._web.get(Ask(**{**vars(first), "authorization": self._token}))
        if answer.status in (401, 403):
            raise Permanent(
                f"{self._shown}: authentication failed (HTTP {answer.status}{_code(answer)}); "
                "check the registry's credentials"
            )
        if answer.status == 404:
            raise Permanent(f"{self._shown}: does not exist (HTTP 404{_code(answer)}); check name and version")
        return answer

    def _exchanged(self, challenge: Mapping[str, str]) -> str:
        """A token for reading this repository, from the service that the registry itself names.

        The login goes to that service, wherever it is: only the registry, over a connection that is checked, can name
        it, and the registry could ask for the login itself.
        """
        reach, realm = self._web.reach, challenge.get("realm", "")
        there = origin_of(realm, f"{self._shown}: its token service")
        if reach.own.scheme == "https" and there.scheme != "https":
            raise Permanent(f"{self._shown}: its token service is not encrypted; the login is not sent there")
        query = {name: challenge[name] for name in ("service", "scope") if challenge.get(name)}
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
        answer = self._web.get(Ask(url, self._settings.answer_size, authorization=reach.authorization, entrusted=there))
        found = _json(answer.body, self._shown)
        token = found.get("token") or found.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise Permanent(f"{self._shown}: its token service gave no token; check the registry's credentials")
        self._tokens.keep(self._name, f"Bearer {token}", found.get("expires_in"))
        return f"Bearer {token}"


def _challenge(header: str) -> Mapping[str, str] | None:
    """The parameters of a Bearer challenge, None for another."""
    kind, _, rest = header.strip().partition(" ")
    if kind.lower() != "bearer":
        return None
    items = urllib.request.parse_http_list(rest[:8192])
    pairs = (item.partition("=") for item in items)
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _layer(manifest: Mapping[str, Any], shown: str, named: str, any_files: bool) -> Layer:
    hint = "push one archive with `oras push`" if any_files else "push it with `helm push`"
    layers = manifest.get("layers")
    if not isinstance(layers, list):
        raise Permanent(f"{shown}: holds no archive but something else; {hint}")
    types = (*_ARCHIVES, *_FILES) if any_files else _ARCHIVES
    found = [each for each in layers if isinstance(each, dict) and each.get("mediaType") in types]
    if len(found) != 1 or (any_files and len(layers) != 1 and found[0]["mediaType"] in _FILES):
        what = "archives" if any_files else "archives of charts"
        raise Permanent(f"{shown}: holds {len(found)} {what} in {len(layers)} layers, want one; {hint}")
    digest = found[0].get("digest")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise Permanent(f"{shown}: its archive has no digest by SHA-256")
    return Layer(digest, named, named if found[0]["mediaType"] in _FILES else "")


def _json(content: bytes, shown: str) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Permanent(f"{shown}: its registry's answer is no JSON object; is it a registry?")
    return found


def _code(answer: Answer) -> str:
    """The registry's own code for an error, `, NAME_UNKNOWN`; nothing of its text."""
    try:
        code = orjson.loads(answer.body)["errors"][0]["code"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return ""
    return f", {code}" if isinstance(code, str) and _CODE.fullmatch(code) else ""
