"""HTTP chart repositories: an index.yaml, asked for only if it changed, and archives whose URLs it names."""

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import orjson

from driftline.adapters.charts.places import Place
from driftline.adapters.charts.reach import Reach, origin_of
from driftline.adapters.charts.reader import IndexReader
from driftline.adapters.charts.settings import ChartSettings
from driftline.adapters.charts.web import Ask, Web, shown_address
from driftline.formats.charts import Listed
from driftline.model.errors import Permanent

_STATE = "state.json"


@dataclass(frozen=True)
class _State:
    """What was answered last. `file` holds the index; `asked` is the wall clock when it was asked for."""

    file: str
    etag: str
    modified: str
    asked: float


class Index:
    """The index of one repository, as kept in its place."""

    def __init__(self, reach: Reach, place: Place, settings: ChartSettings, reader: IndexReader) -> None:
        self._reach, self._place, self._settings, self._reader = reach, place, settings, reader
        base = httpx.URL(reach.base)
        self._below = base.copy_with(path=base.path.rstrip("/") + "/")
        self.url = str(self._below.copy_with(path=self._below.path + "index.yaml"))
        self.shown = shown_address(self.url)

    def fresh(self, chart: str) -> tuple[Listed, ...]:
        """The versions that the repository lists now. Callers that wait for the same index share one request."""
        called = time.time()
        with self._place.held():
            state = self._state()
            if state is None or state.asked < called:
                state = self._asked(state, chart)
        return self._versions(chart, state)

    def known(self, chart: str) -> tuple[Listed, ...] | None:
        """The versions as they were listed last, without network; None if no index is here (any more)."""
        state = self._state()
        try:
            return self._versions(chart, state) if state is not None else None
        except FileNotFoundError:
            return None

    def archive_url(self, listed: Listed) -> str:
        """Where a version's archive is: its first URL, a relative one below the repository's own, as Helm does."""
        try:
            url = self._below.join(listed.urls[0])
        except (httpx.InvalidURL, ValueError):
            raise Permanent(f"{self.shown}: {listed.version}: lists a URL that is none") from None
        if self._below.query and not url.query and origin_of(str(url), self.shown) == self._reach.own:
            # Some hosts take a token as query: it belongs to the archives as well, and to nobody else.
            url = url.copy_with(query=self._below.query)
        return str(url)

    def _asked(self, state: _State | None, chart: str) -> _State:
        """Ask for the index, unless it is still the one that we have. One that cannot be read replaces none."""
        headers = {}
        if state is not None and (self._place.directory / state.file).exists():
            known = {"if-none-match": state.etag, "if-modified-since": state.modified}
            headers = {name: value for name, value in known.items() if value}
        asked = time.time()
        with Web(self._reach, self._settings) as web:
            answer = web.get(Ask(self.url, self._settings.index_size, headers, packed=True, passed=(304,)))
        if answer.status == 304 and state is not None:
            renewed = _State(state.file, state.etag, state.modified, asked)
        else:
            file = f"index-{hashlib.sha256(answer.body).hexdigest()[:32]}.yaml"
            if not (self._place.directory / file).exists():
                self._place.write(file, answer.body)
            renewed = _State(file, answer.headers.get("etag", ""), answer.headers.get("last-modified", ""), asked)
            self._versions(chart, renewed)
        self._place.write(_STATE, orjson.dumps(asdict(renewed)))
        self._place.touch()
        if state is not None and state.file != renewed.file:
            self._replaced(state)
        self._drop_others(renewed)
        return renewed

    def _replaced(self, former: _State) -> None:
        """Let a former index's age count from now on: somebody may be about to read it."""
        for path in self._place.directory.glob(f"{former.file.removesuffix('.yaml')}*"):
            with suppress(FileNotFoundError):
                os.utime(path)

    def _drop_others(self, state: _State) -> None:
        """Remove former indexes and what was read from them, a while after they were replaced: somebody may read."""
        kept = state.file.removesuffix(".yaml")
        limit = time.time() - 2 * self._settings.deadline.total_seconds()
        for path in self._place.directory.glob("*index-*"):
            try:
                if not path.name.startswith(kept) and path.stat().st_mtime < limit:
                    path.unlink()
            except FileNotFoundError:
                continue

    def _versions(self, chart: str, state: _State) -> tuple[Listed, ...]:
        name = f"{state.file.removesuffix('.yaml')}-{hashlib.sha256(chart.encode()).hexdigest()[:32]}.json"
        if (kept := self._place.read(name)) is not None:
            return tuple(Listed(version, digest, tuple(urls)) for version, digest, urls in orjson.loads(kept))
        found = self._reader.versions(Path(self._place.directory / state.file), chart, self.shown)
        self._place.write(name, orjson.dumps([(each.version, each.digest, each.urls) for each in found]))
        return found

    def _state(self) -> _State | None:
        content = self._place.read(_STATE)
        return _State(**orjson.loads(content)) if content else None
