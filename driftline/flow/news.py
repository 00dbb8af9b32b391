"""What a fetch brought: whom new commits or new versions of charts concern. Called by flow.fetch."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection

from driftline.adapters.git import Fetched
from driftline.adapters.store import repositories
from driftline.adapters.store.applications import SourceUse
from driftline.adapters.store.repositories import RepositoryRow
from driftline.desired import revision
from driftline.desired.inputs import Inputs, unchanged
from driftline.desired.releases import Answer
from driftline.desired.revision import Tracked
from driftline.desired.tree import Tree
from driftline.flow.charts import Looked
from driftline.flow.commits import commit_of
from driftline.flow.edges import Edges
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent


@dataclass(frozen=True)
class News:
    """Applications to look at, new revisions of the others, and how the repository's row learns of it.

    `fresh` says whether the repository has anything that it had not at the last fetch.
    """

    affected: Sequence[int]
    moved: Mapping[int, tuple[str, ...]]
    fresh: bool
    record: Callable[[Connection], None]


def wanted_refs(uses: Sequence[SourceUse]) -> list[str]:
    """Every ref that some application follows, HEAD if there is none."""
    found: set[str] = set()
    for use in uses:
        # What one application asks for wrongly is said at that application; the others are fetched for.
        with suppress(Permanent):
            found |= set(revision.wanted_refs(use.target_revision, use.tag_prefix))
    return sorted(found) or ["HEAD"]


def git_news(
    row: RepositoryRow, uses: Sequence[SourceUse], fetched: Fetched, credentials: RepositoryAccess, edges: Edges
) -> News:
    """Whom new commits concern. What was never rendered, or whose revision cannot be resolved, has to be looked at."""
    news = _Sorter()
    for use in uses:
        try:
            commit = commit_of(edges, credentials, fetched, Tracked(use.target_revision, use.tag_prefix))
        except Permanent:
            news.affected.add(use.application_id)
            continue
        if not rendered(use):
            news.affected.add(use.application_id)
        elif commit != _known(use):
            news.candidates[commit].append((use, commit))

    def record(db: Connection) -> None:
        repositories.set_fetched(db, row.id, dict(fetched.refs), fetched.head)

    affected, moved = news.sorted_by(lambda commit: edges.mirrors.tree(credentials, commit))
    return News(affected, moved, (row.refs, row.head) != (dict(fetched.refs), fetched.head), record)


def chart_news(row: RepositoryRow, uses: Sequence[SourceUse], looked: Looked, edges: Edges) -> News:
    """Whom new versions of charts concern, and versions that were published again."""
    now = {(each.chart, each.wanted): each for each in looked.answers}
    known = {(each["chart"], each["wanted"]): Answer.from_json(each) for each in row.charts or ()}
    news = _Sorter()
    for use in uses:
        found, before = (each.get((use.chart, use.target_revision)) for each in (now, known))
        if found is None:
            continue
        if not rendered(use) or (found.problem and found != before):
            news.affected.add(use.application_id)
        elif not found.problem and (found.version != _known(use) or found != before):
            news.candidates[found.digest].append((use, found.version))

    written = [each.to_json() for each in looked.answers]

    def record(db: Connection) -> None:
        repositories.set_charts(db, row.id, written, well=looked.failure is None)

    affected, moved = news.sorted_by(edges.charts.tree)
    return News(affected, moved, row.charts != written, record)


@dataclass
class _Sorter:
    """Sorts uses of a repository into those that something new concerns and those that only get another revision."""

    affected: set[int] = field(default_factory=set)
    candidates: dict[str, list[tuple[SourceUse, str]]] = field(default_factory=lambda: defaultdict(list))
    """What names a tree -> who reads it now, and under which revision."""

    def sorted_by(self, tree_of: Callable[[str], Tree]) -> tuple[list[int], Mapping[int, tuple[str, ...]]]:
        """Compare the object ids of everything that was read with those of the new trees, one question for each."""
        moved: dict[int, tuple[str, ...]] = {}
        for name, group in self.candidates.items():
            read = [(use, found, recorded_inputs(use)) for use, found in group]
            tree = tree_of(name)
            oids = tree.oids({path for _, _, inputs in read for each, ref in inputs for path in each.paths(ref)})
            for use, found, inputs in read:
                if not all(unchanged(each, oids, ref, tree.commit) for each, ref in inputs):
                    self.affected.add(use.application_id)
                else:
                    revisions = list(moved.get(use.application_id) or use.revisions or [])
                    revisions[use.position] = found
                    moved[use.application_id] = tuple(revisions)
        return sorted(self.affected), {number: found for number, found in moved.items() if number not in self.affected}


def rendered(use: SourceUse) -> bool:
    """Whether the application was rendered since its declaration changed last."""
    recorded = use.inputs or {}
    return recorded.get("generation") == use.generation and len(recorded.get("refs", ())) > use.position


def recorded_inputs(use: SourceUse) -> list[tuple[Inputs, str]]:
    """What the application's last render read from this source, each with the ref under which it was read.

    A source's own render reads it under no ref, every render by the name that it has for the others.
    """
    recorded = use.inputs
    ref = recorded["refs"][use.position]
    found = []
    for place, text in zip(recorded["places"], recorded["items"], strict=True):
        if place != use.position and not ref:
            continue
        inputs = Inputs.from_json(text)
        found += [(inputs, "")] if place == use.position else []
        found += [(inputs, ref)] if ref else []
    return found


def _known(use: SourceUse) -> str:
    return use.revisions[use.position] if use.revisions and len(use.revisions) > use.position else ""
