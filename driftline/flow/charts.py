"""Charts as sources: what a revision of one stands for, its files, and one look into a repository for everybody."""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from driftline.adapters.charts import Chart
from driftline.adapters.store.applications import SourceUse
from driftline.adapters.store.repositories import RepositoryRow
from driftline.desired import releases, urls
from driftline.desired.releases import Answer
from driftline.desired.revision import Tracked
from driftline.desired.semver import parse_version
from driftline.desired.tree import Tree
from driftline.flow.edges import Edges
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent, Temporary


class RepositoryAway(Temporary):
    """The repository could never be fetched, and cannot now."""


class NotFetched(Temporary):
    """What is wanted of a repository was not fetched yet."""

    def __init__(self, message: str, repository_id: int) -> None:
        super().__init__(message)
        self.repository_id = repository_id


def subject(chart: str) -> str:
    """What messages about a chart begin with; a registry's artifact has no chart's name."""
    return f"chart {chart}" if chart else "artifact"


def answer(row: RepositoryRow, tracked: Tracked) -> Answer:
    """What a targetRevision came to when the repository was looked into last. Raises as `desire.resolve`."""
    found = releases.answer_to(row.charts or (), tracked.chart, tracked.revision)
    if found is None:
        if row.failing_since is not None:
            raise RepositoryAway(row.message)
        wanted = tracked.revision or releases.ANY
        raise NotFetched(f"{urls.shown_url(row.url)}: {subject(tracked.chart)} {wanted} is being looked for", row.id)
    if found.problem:
        raise Permanent(f"{urls.shown_url(row.url)}: {found.problem}")
    return found


def with_answer(edges: Edges, row: RepositoryRow, access: RepositoryAccess, tracked: Tracked) -> RepositoryRow:
    """The row with an answer for a revision that a person names, asked for now if no application follows it."""
    if releases.answer_to(row.charts or (), tracked.chart, tracked.revision) is not None:
        return row
    looking = _Look(edges, access, ())
    found = looking.of_chart(tracked.chart, [tracked.revision])
    if looking.failure is not None:
        raise looking.failure
    looking.confirm()
    return replace(row, charts=[*(row.charts or ()), *(each.to_json() for each in found)])


def tree(edges: Edges, row: RepositoryRow, access: RepositoryAccess, chart: str, version: str) -> Tree:
    """The files of a chart's version. What this machine does not hold is pulled once, and must be the same content."""
    known = digest_of(row, chart, version)
    if known and edges.charts.contains(known):
        return edges.charts.tree(known)
    pulled = edges.charts.pull(access, chart, version, known)
    if known and pulled.digest != known:
        raise NotFetched(
            f"{urls.shown_url(row.url)}: {subject(chart)} {version} was published again with other content", row.id
        )
    return edges.charts.tree(pulled.digest)


def digest_of(row: RepositoryRow, chart: str, version: str) -> str:
    """The content that a version of a chart had when it was looked at last; empty if no application follows it."""
    found = (each for each in row.charts or () if each["chart"] == chart and each.get("version") == version)
    return next((each.get("digest", "") for each in found), "")


@dataclass(frozen=True)
class Looked:
    """What a look came to. With a `failure` some charts could not be pulled now: their answers are those of before,
    and one that there was none of is missing. `more`: of a chart that there was no time for nothing is known yet."""

    answers: tuple[Answer, ...]
    failure: Temporary | None = None
    more: bool = False


def look(edges: Edges, row: RepositoryRow, uses: Sequence[SourceUse], access: RepositoryAccess) -> Looked:
    """Look into a repository once: what every revision that is followed in it means now, pulled.

    A look has one deadline: what it does not come to keeps its answers, and is asked first by the next one.

    What is wrong with one chart says nothing of the others: it is that answer's problem, or worth another try. Raises
    the failure of the repository itself.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    for use in uses:
        wanted[use.chart].add(use.target_revision)
    if not wanted:
        edges.charts.check(access)
        return Looked(())
    known = row.charts or ()
    looking = _Look(edges, access, known)
    until = edges.now() + edges.charts.settings.deadline
    order = _order(wanted, known)
    asked: list[Answer] = []
    while order and edges.now() < until:
        chart = order.pop(0)
        asked += looking.of_chart(chart, sorted(wanted[chart]))
    looking.confirm()
    left = [(chart, text) for chart in order for text in sorted(wanted[chart])]
    kept = [found for chart, text in left if (found := releases.answer_to(known, chart, text)) is not None]
    return Looked((*kept, *asked), looking.failure, more=len(kept) < len(left))


def _order(wanted: Iterable[str], known: Sequence[Mapping[str, str]]) -> list[str]:
    """Charts in the order to ask for them: who waited longest first, in turns with those of which nothing is known.

    Of those, none is the first each time: one whose host hangs would keep the others out.
    """
    charts = set(wanted)
    before = [chart for chart in dict.fromkeys(each["chart"] for each in known) if chart in charts]
    new = sorted(charts.difference(before))
    random.shuffle(new)
    return [chart for pair in zip_longest(before, new) for chart in pair if chart is not None]


class _Look:
    """One look into a repository. `known` is what the last one came to."""

    def __init__(self, edges: Edges, access: RepositoryAccess, known: Sequence[Mapping[str, str]]) -> None:
        self._edges, self._access, self._known = edges, access, known
        self._asked = self._answered = False
        self._away: Permanent | None = None
        self.failure: Temporary | None = None
        """The first chart that could not be pulled now."""

    def confirm(self) -> None:
        """Raise what is wrong with the registry itself, unless one of its charts answered.

        A registry may serve public charts to those whom it does not let in otherwise.
        """
        if self._away is not None and not self._answered and self.failure is None:
            raise self._away

    def of_chart(self, chart: str, wanted: Sequence[str]) -> list[Answer]:
        """What each of some revisions of one chart means now. Raises what is wrong with the repository itself."""
        listed = self._versions(chart)
        pulled: dict[str, Chart] = {}
        found = []
        for text in wanted:
            try:
                version = _chosen(chart, text, listed)
                if version not in pulled:
                    pulled[version] = self._edges.charts.pull(self._access, chart, version)
                    self._answered = True
                # An artifact that is no chart has no version but its digest; its tags move.
                named = version if chart or pulled[version].name else pulled[version].version
                found.append(self._compared(Answer(chart, text, named, pulled[version].digest)))
            except Permanent as failure:
                found.append(self._kept(chart, text) or Answer(chart, text, problem=failure.message))
            except Temporary as failure:
                # An archive's host may be away for long: the other charts go on.
                self.failure = self.failure or failure
                before = releases.answer_to(self._known, chart, text)
                found += [before] if before else []
        return found

    def _versions(self, chart: str) -> tuple[str, ...] | Permanent:
        """The versions, or why they cannot be listed although nothing is wrong with the repository.

        The index of a chart repository is asked for once, for all of its charts.
        """
        fresh, self._asked = not self._asked, True
        try:
            listed = self._edges.charts.versions(self._access, chart, fresh=fresh)
        except Permanent as failure:
            self._check()
            return failure
        self._answered = True
        return listed

    def _check(self) -> None:
        """See whether the host is to blame. A registry's refusal waits for what its other charts say."""
        if self._away is not None:
            return
        try:
            self._edges.charts.check(self._access)
        except Permanent as failure:
            if self._access.kind != urls.OCI:
                raise
            self._away = failure

    def _compared(self, found: Answer) -> Answer:
        """The answer, with a note if a version that was known has other content now. A moving tag is no version."""
        before = releases.answer_to(self._known, found.chart, found.wanted)
        if before is None or before.version != found.version or parse_version(found.version) is None:
            return found
        if before.digest == found.digest:
            return replace(found, republished=before.republished)
        self._edges.log.warning(
            "chart published again",
            repository=urls.shown_url(self._access.url),
            chart=found.chart,
            version=found.version,
        )
        return replace(found, republished=before.digest)

    def _kept(self, chart: str, wanted: str) -> Answer | None:
        """A pinned version that the repository does not list any more stays what it was, as long as it is held here."""
        before = releases.answer_to(self._known, chart, wanted)
        kept = before is not None and before.digest and releases.pinned(wanted)
        return before if kept and before and self._edges.charts.contains(before.digest) else None


def _chosen(chart: str, wanted: str, listed: tuple[str, ...] | Permanent) -> str:
    """The version that is meant. A registry may let one be pulled without letting its tags be listed."""
    if not isinstance(listed, Permanent):
        return releases.choose(wanted, listed, subject(chart))
    if releases.pinned(wanted):
        return wanted
    raise listed


def notes(row: RepositoryRow, chart: str, version: str) -> tuple[str, ...]:
    """Warnings about a version, for the application's conditions."""
    for each in row.charts or ():
        if each["chart"] == chart and each.get("version") == version and each.get("republished"):
            before = each["republished"][:19]
            return (f"RepublishedWarning: {subject(chart)} {version} was published again: its content was {before}",)
    return ()
