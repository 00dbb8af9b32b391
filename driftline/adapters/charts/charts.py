"""The chart adapter as the rest of the product sees it: versions, charts pulled once, and their files."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from driftline.adapters.charts.archives import Archives
from driftline.adapters.charts.chart import Chart
from driftline.adapters.charts.indexes import Index
from driftline.adapters.charts.places import Place, Places
from driftline.adapters.charts.reach import Reach
from driftline.adapters.charts.reader import IndexReader
from driftline.adapters.charts.registry import Layer, Registry, registry_base
from driftline.adapters.charts.settings import ChartSettings
from driftline.adapters.charts.tokens import AllTokens
from driftline.adapters.charts.tree import ChartTree
from driftline.adapters.charts.web import Ask, Web, shown_address
from driftline.desired.chartfile import plain_name
from driftline.desired.semver import parse_range, parse_version
from driftline.formats.charts import Listed
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent, Temporary

_PULLED, _CHOSEN, _MANIFESTS = "pulled.json", "chosen.json", "manifests.json"
_ANY = "any"
"""A name to ask with where the question is not about a chart."""


@dataclass
class Report:
    """What a round of housekeeping removed, and the bytes of all archives afterwards."""

    leftovers: int = 0
    repositories: int = 0
    charts: int = 0
    size: int = 0


class Charts:
    """All charts under `directory`, on a local disk that several processes of one machine may share.

    Safe for threads. Make it after a fork. An access of kind "helm" or "oci" is wanted everywhere; what a repository
    or a chart does wrong is Temporary or Permanent, the URL first.

    With kind "oci" and no chart, the URL itself names an artifact: an archive of any files, or a chart.
    """

    def __init__(self, directory: Path, settings: ChartSettings | None = None) -> None:
        self.settings = settings or ChartSettings()
        self._scratch = directory / "scratch"
        self._archives = Archives(directory / "archives", self._scratch, self.settings)
        for each in (directory, self._scratch, directory / "archives", directory / "repositories"):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._places = Places(directory / "repositories")
        self._tokens = AllTokens()
        self._reader = IndexReader(self.settings.allow_unsandboxed)

    def check(self, access: RepositoryAccess) -> None:
        """Ask the host whether this repository or registry can be reached like this.

        Raises Temporary or Permanent, which names the cause: host, authentication, certificate, no repository.
        """
        with _disk():
            if access.kind == "oci":
                with Web(self._reach(access), self.settings) as web:
                    Registry(web, _ANY, _shown(access), self.settings).check()
            else:
                self._index(access, _ANY).fresh(_ANY)

    def versions(self, access: RepositoryAccess, chart: str, fresh: bool = True) -> tuple[str, ...]:
        """All versions of a chart that the repository or registry names now, empty for a chart that it does not list.

        In a registry a chart without versions is one that does not exist, which is Permanent. Without `fresh` an index
        is asked for only if none is here: for the second chart of one look.
        """
        with _disk():
            if access.kind == "oci":
                with self._registry(access, chart) as registry:
                    return registry.tags()
            index = self._index(access, chart)
            listed = None if fresh else index.known(chart)
            listed = index.fresh(chart) if listed is None else listed
            return tuple(dict.fromkeys(each.version for each in listed))

    def pull(self, access: RepositoryAccess, chart: str, version: str, digest: str = "") -> Chart:
        """Have one version here, and say what it is. `version` is one that `versions` names; OCI: or a digest.

        What was pulled before is not sent again, and serves while the host is away. With a `digest`, the content that
        is meant, an index that names another one is an old one and asked for again.
        """
        with _disk():
            try:
                if access.kind == "oci":
                    pulled = self._pull_oci(access, chart, version)
                else:
                    pulled = self._pull(access, chart, version, digest)
            except Temporary:
                if (before := self.known(access, chart, version)) is None:
                    raise
                return before
            self._note(self._place(access), _PULLED, f"{chart} {version}", pulled.digest)
            return pulled

    def known(self, access: RepositoryAccess, chart: str, version: str) -> Chart | None:
        """What `pull` gave for this version before, if it is still here. No network."""
        place = self._place(access)
        held = _notes(place, _PULLED).get(f"{chart} {version}")
        return self._used(place, held) if held else None

    def choose(self, access: RepositoryAccess, chart: str, wanted: str) -> Chart:
        """Have the highest version of a range here. What was chosen before serves while the host is away.

        Raises Permanent if no version fits.
        """
        wanted_range = parse_range(wanted)
        if wanted_range is None:
            return self.pull(access, chart, wanted)
        try:
            listed = self.versions(access, chart)
            best = wanted_range.best(version for text in listed if (version := parse_version(text)) is not None)
            if best is None:
                raise Permanent(f"{_shown(access)}: {chart}: none of its {len(listed)} versions fits {wanted[:80]!r}")
            found = self.pull(access, chart, best.original)
        except Temporary:
            if (before := self.chosen(access, chart, wanted, None)) is None:
                raise
            return before
        with _disk():
            self._note(self._place(access), _CHOSEN, f"{chart} {wanted}", [found.digest, time.time()])
        return found

    def chosen(self, access: RepositoryAccess, chart: str, wanted: str, age: timedelta | None) -> Chart | None:
        """What `choose` gave for this range, at most `age` ago, if it is still here. No network."""
        place = self._place(access)
        held = _notes(place, _CHOSEN).get(f"{chart} {wanted}")
        if held is None or (age is not None and held[1] < time.time() - age.total_seconds()):
            return None
        return self._used(place, held[0])

    def contains(self, digest: str) -> bool:
        """Whether a chart can be read without its repository."""
        return self._archives.contains(digest)

    def tree(self, digest: str) -> ChartTree:
        """The files of a chart that was pulled. Raises Temporary if it is not here any more: pull it again."""
        return self._archives.tree(digest)

    def housekeeping(self) -> Report:
        """Remove leftovers, what nobody used for long, and above the quota the least recently used charts."""
        report = Report()
        limit = time.time() - 2 * self.settings.deadline.total_seconds()
        for path in self._scratch.iterdir():
            try:
                if path.stat().st_mtime < limit:
                    path.unlink()
                    report.leftovers += 1
            except FileNotFoundError:
                continue
        kept = self.settings.kept.total_seconds()
        report.repositories = self._places.forget_unused(kept)
        report.charts, report.size = self._archives.drop_unused(kept, self.settings.quota)
        return report

    def close(self) -> None:
        """End what was started."""
        self._reader.close()

    def _pull(self, access: RepositoryAccess, chart: str, version: str, digest: str) -> Chart:
        index = self._index(access, chart)
        known = _find(index.known(chart) or (), version)
        if known is not None and (not digest or known.digest in ("", digest)):
            try:
                return self._download(index, access, known)
            except Permanent:
                pass  # the index that we have may be an old one
        listed = _find(index.fresh(chart), version)
        if listed is None:
            raise Permanent(f"{index.shown}: lists no {chart} {version}; check chart and targetRevision")
        return self._download(index, access, listed)

    def _download(self, index: Index, access: RepositoryAccess, listed: Listed) -> Chart:
        """Have an archive here. Those who want the same one wait for who comes first."""
        url = index.archive_url(listed)
        shown = shown_address(url)
        with self._place(access).pulling(listed.digest or url):
            if listed.digest and (held := self._chart(listed.digest)):
                return held
            with self._archives.incoming() as incoming, Web(self._reach(access), self.settings) as web:
                ask = Ask(url, self.settings.archive_size, into=incoming.write, verified=bool(listed.digest))
                web.get(ask)
                if listed.digest and incoming.digest != listed.digest:
                    raise Permanent(
                        f"{shown}: is {incoming.digest}, its index says {listed.digest[:80]}; "
                        "the repository contradicts itself, publish the chart again"
                    )
                return self._archives.keep(incoming, shown)

    def _pull_oci(self, access: RepositoryAccess, chart: str, version: str) -> Chart:
        place, key = self._place(access), f"{chart} {version}"
        manifest, content = _notes(place, _MANIFESTS).get(key, ("", ""))
        held = self._chart(content) if content else None
        if held is not None and manifest == version:
            return held
        with self._registry(access, chart) as registry:
            # Registries count each GET of a manifest as a pull, and bound those.
            if held is not None and registry.manifest_digest(version) == manifest:
                return held
            layer = registry.layer(version, any_files=not chart)
            named = f"{_named(access, chart)}:{version}"
            found = self._chart(layer.content) or self._pull_layer(place, registry, layer, named)
        self._note(place, _MANIFESTS, key, [layer.manifest, found.digest])
        return found

    def _pull_layer(self, place: Place, registry: Registry, layer: Layer, named: str) -> Chart:
        with place.pulling(layer.content), self._archives.incoming() as incoming:
            if held := self._chart(layer.content):
                return held
            registry.pull(layer, incoming)
            return self._archives.keep(incoming, named, layer.artifact)

    def _chart(self, digest: str) -> Chart | None:
        try:
            return self._archives.chart(digest)
        except Permanent:
            return None  # an index may say what it likes

    @contextmanager
    def _registry(self, access: RepositoryAccess, chart: str) -> Iterator[Registry]:
        path = registry_base(access.url, access.plain_http)[1]
        with Web(self._reach(access), self.settings) as web:
            name, tokens = f"{path}/{chart}".strip("/"), self._tokens.of(access)
            yield Registry(web, name, _named(access, chart), self.settings, tokens)

    def _index(self, access: RepositoryAccess, chart: str) -> Index:
        if access.kind != "helm":
            raise Permanent(f"{_shown(access)}: is no chart repository; register it as type helm")
        if not plain_name(chart):
            raise Permanent(f"{_shown(access)}: {chart[:80]!r} cannot be a chart's name")
        return Index(self._reach(access), self._place(access), self.settings, self._reader)

    def _reach(self, access: RepositoryAccess) -> Reach:
        base = registry_base(access.url, access.plain_http)[0] if access.kind == "oci" else access.url
        return Reach(access, base, _shown(access))

    def _place(self, access: RepositoryAccess) -> Place:
        return self._places.of(access, access.url.rstrip("/"))

    def _used(self, place: Place, digest: str) -> Chart | None:
        with suppress(FileNotFoundError):
            place.touch()
        return self._archives.chart(digest)

    def _note(self, place: Place, name: str, key: str, value: Any) -> None:
        """Change one entry of a file of JSON, and mark the repository as used."""
        with place.held():
            known = _notes(place, name)
            if known.get(key) != value:
                place.write(name, orjson.dumps({**known, key: value}))
            place.touch()


def _notes(place: Place, name: str) -> dict[str, Any]:
    content = place.read(name)
    return orjson.loads(content) if content else {}


def _find(listed: tuple[Listed, ...], version: str) -> Listed | None:
    """The entry of a version: by its text, else by what the text means (`v1.2.0`, `1.2.0`)."""
    exact = next((each for each in listed if each.version == version), None)
    meant = parse_version(version)
    if exact is not None or meant is None:
        return exact
    return next((each for each in listed if parse_version(each.version) == meant), None)


def _named(access: RepositoryAccess, chart: str) -> str:
    return f"{_shown(access)}/{chart}" if chart else _shown(access)


def _shown(access: RepositoryAccess) -> str:
    url = access.url if "://" in access.url else f"oci://{access.url}"
    return shown_address(url).rstrip("/")


@contextmanager
def _disk() -> Iterator[None]:
    """What the disk refuses is worth trying again, once there is room."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Temporary(f"chart directory: {reason}; free some space or check its rights") from error
