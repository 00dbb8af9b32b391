"""Compare one application with its cluster: what Git wants, what differs, and the status that follows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from driftline.adapters.store.objects import ObjectRow, ObjectState
from driftline.desired.inputs import Inputs
from driftline.flow import charts, desire
from driftline.flow.children import is_child, itself, wanted_children
from driftline.flow.comparing import Compared, Comparer, Ledger
from driftline.flow.desire import Known, Wish
from driftline.flow.desires import Target
from driftline.flow.edges import Edges
from driftline.flow.places import conditions
from driftline.flow.reading import Reader
from driftline.flow.scan import watched
from driftline.flow.situation import Situation
from driftline.model.cluster import ClusterUnreachable
from driftline.model.digests import digest
from driftline.model.drift import Verdict, VerdictState
from driftline.model.health import HealthStatus, SyncStatus
from driftline.model.objects import Key, key_of
from driftline.model.plan import Problem
from driftline.sync.automation import Difference
from driftline.sync.given import Wanted
from driftline.sync.status import AppCondition, Comparison, Extra, application_sync_status


@dataclass(frozen=True)
class View:
    """The cluster's side of a look."""

    reader: Reader
    target: Target

    @property
    def uid(self) -> str:
        return self.reader.cluster.uid()


@dataclass(frozen=True)
class Look:
    """One application, compared."""

    situation: Situation
    view: View
    wish: Wish
    wanted: Mapping[Key, Wanted]
    """Objects for the cluster and child applications, with their digests."""
    compared: Compared
    behind: frozenset[Key]
    """Keys whose desired object is not the one applied last: Git moved, which is no drift."""
    extras: frozenset[Key]
    """Inventory keys that Git does not name any more."""
    problems: tuple[Problem, ...]
    status: Comparison
    gone: frozenset[Key] = frozenset()
    """Inventory keys that Git does not name any more and that a GET has not found: they leave the inventory."""

    @property
    def target(self) -> str:
        """Names what is wanted: the render and the declaration. A commit that changes neither is no new target."""
        return digest([self.wish.key, self.situation.app.document.get("spec")])

    @property
    def left_behind(self) -> list[tuple[str, str]]:
        """Conditions that tell of objects in clusters that the application was moved away from."""
        return conditions(self.situation)

    def shown(self, status: SyncStatus) -> SyncStatus:
        """The status for people: not in sync while objects are left in a former cluster."""
        return SyncStatus.OUT_OF_SYNC if status is SyncStatus.SYNCED and self.situation.elsewhere else status

    @property
    def drifted(self) -> Mapping[Key, Verdict]:
        """Verdicts about objects that are not as we applied them."""
        return {
            key: verdict
            for key, verdict in self.compared.verdicts.items()
            if key not in self.behind and not verdict.in_sync and verdict.state not in NOT_DRIFT
        }

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What a sync would have to change."""
        found = [
            Difference(key, fields=self.compared.verdicts[key].fields if key in self.compared.verdicts else ())
            for key in self.status.out_of_sync
            if key not in self.extras
        ]
        return tuple(found + [Difference(key, prune=True) for key in sorted(self.extras)])


INSPECT = "inspect"
"""Kind of the job that stands for a person who looks."""

NOT_DRIFT = frozenset({VerdictState.UNKNOWN, VerdictState.SUSPECT, VerdictState.UNAPPLICABLE, VerdictState.DELETING})


def view(edges: Edges, situation: Situation) -> View:
    """Reach the application's cluster. Raises ClusterUnreachable or ApiRefused."""
    assert situation.cluster is not None
    cluster = edges.cluster(situation.cluster)
    target = edges.target(cluster, situation.marks)
    return View(Reader(cluster, target.kinds, edges.pool), target)


def look(edges: Edges, situation: Situation, seen: View, wish: Wish, ask: bool = False) -> Look:
    """Compare. Reads only suspects from the cluster; raises nothing for what single objects answer.

    `ask` reads every object, and asks the API server about those that Git changed, too: for people who look now.
    """
    if list(wish.revisions) != situation.row.revisions:
        for credentials, commit in zip(situation.credentials, wish.revisions, strict=False):
            # Read now and remembered, because what is recorded later is recorded inside a transaction.
            edges.commit(credentials, commit)
    name = situation.row.name
    children, child_problems = wanted_children(wish.desired.declarations)
    if situation.row.parent_id is not None:
        # What its parent says of it counts: two declarations of one application would be taken in turn for ever.
        children = {key: each for key, each in children.items() if not itself(key, name)}
    bodies = wish.desired.objects
    wanted: dict[Key, Wanted] = {key: Wanted(body, wish.desired.digests[key]) for key, body in bodies.items()}
    wanted.update(children)
    owned = situation.owned
    behind = frozenset(
        key for key, each in wanted.items() if key not in owned or owned[key].desired_digest != each.digest
    )
    fresh = ask or bool((situation.job.payload or {}).get("fresh"))
    comparer = replace(comparer_for(edges, situation, seen), fresh=fresh, unwell=_unwell(edges, situation))
    ledger = Ledger({key: row for key, row in owned.items() if not is_child(key)}, situation.live)
    undecided = frozenset() if ask else behind
    compared = comparer.compare(bodies, wish.desired.digests, ledger, undecided)
    problems = (*wish.desired.problems, *child_problems)
    # It never prunes itself: that Git dropped its own declaration does not mean that it is to go.
    named = frozenset(key for key in extras_of(owned, wanted, wish, problems) if not itself(key, name))
    dropped = seen.reader.read_owned(key for key in named if not is_child(key))
    there = dropped.found
    away = next((each for each in dropped.failed.values() if isinstance(each, ClusterUnreachable)), compared.away)
    gone = frozenset(key for key, body in there.items() if body is None)
    compared = replace(compared, bodies={**compared.bodies, **there}, away=away)
    extras = named - gone
    status = status_of(wish, wanted, owned, compared, behind, extras, problems)
    return Look(situation, seen, wish, wanted, compared, behind, extras, problems, status, gone)


def _unwell(edges: Edges, situation: Situation) -> frozenset[str]:
    """Ids of objects that were not well when last seen, where no watch tells what becomes of them."""
    assert situation.cluster is not None
    if watched(situation.cluster, edges):
        return frozenset()
    well = (HealthStatus.HEALTHY, HealthStatus.SUSPENDED)
    return frozenset(key_id for key_id, row in situation.live.items() if row.health_status not in well)


def comparer_for(edges: Edges, situation: Situation, seen: View) -> Comparer:
    """What compares this application's objects."""
    app = situation.app
    return Comparer(seen.reader, edges.schemas, situation.marks, app.destination.namespace, app.ignore, edges.now())


def extras_of(
    owned: Mapping[Key, ObjectRow], wanted: Mapping[Key, Wanted], wish: Wish, problems: tuple[Problem, ...]
) -> frozenset[Key]:
    """Inventory keys that Git does not name. An object whose manifest is broken is still named."""
    named = {*wanted, *wish.desired.skipped, *(problem.key for problem in problems)}
    named |= {key_of(body) for body in wish.desired.hooks}
    return frozenset(key for key in owned if key not in named)


def status_of(
    wish: Wish,
    wanted: Mapping[Key, Wanted],
    owned: Mapping[Key, ObjectRow],
    compared: Compared,
    behind: frozenset[Key],
    extras: frozenset[Key],
    problems: tuple[Problem, ...],
) -> Comparison:
    """The application's status, with conditions for what is wrong in the manifests themselves."""
    verdicts = dict(compared.verdicts)
    for key in behind:
        verdict = verdicts.get(key)
        if verdict is None:
            verdicts[key] = Verdict(key, VerdictState.MISSING if key not in owned else VerdictState.DRIFTED)
        elif verdict.state in (VerdictState.SUSPECT, VerdictState.CLAIM):
            # A claim, too: values that are there already become ours by a sync, or dropping them later would fail.
            verdicts[key] = replace(verdict, state=VerdictState.DRIFTED, reason="Git has changed it")
    left = [Extra(key) for key in sorted(extras) if owned[key].state != ObjectState.WANTED or owned[key].uid]
    found = application_sync_status(verdicts, left)
    conditions = [*found.conditions]
    conditions += [AppCondition("ComparisonError", f"{each.key}: {each.message}") for each in problems]
    conditions += [AppCondition(*_warning(text)) for text in wish.desired.warnings]
    return replace(found, conditions=tuple(conditions))


def _warning(text: str) -> tuple[str, str]:
    kind, colon, rest = text.partition(": ")
    if colon and kind.endswith("Warning") and " " not in kind:
        return kind, rest
    return "RenderWarning", text


def render(edges: Edges, situation: Situation, seen: View) -> Wish:
    """What Git wants now, or what the open sync or a rollback pin wants. Raises as `desire.wish`."""
    found = _rendered(edges, situation, seen)
    noted = [
        note
        for row, source, revision in zip(situation.repositories, situation.app.sources, found.revisions, strict=False)
        for note in charts.notes(row, source.chart, revision)
    ]
    if not noted:
        return found
    return replace(found, desired=replace(found.desired, warnings=(*found.desired.warnings, *noted)))


def _rendered(edges: Edges, situation: Situation, seen: View) -> Wish:
    sync = situation.sync
    if sync is not None and sync.render_id is not None and sync.revisions:
        return desire.stored_wish(edges, situation.app, sync.render_id, sync.revisions, seen.target)
    request = (sync.request if sync else None) or {}
    overrides = request.get("revisions") or ()
    if overrides or situation.job.kind == INSPECT:
        revisions = desire.resolve_asked(edges, situation, overrides)
    else:
        revisions = desire.resolve(edges, situation)
    fast = situation.job.queue == "fast"
    row = situation.row
    items = (row.inputs or {}).get("items", ()) if row.inputs else ()
    anew = bool((situation.job.payload or {}).get("anew"))
    known = Known(anew=anew)
    if items:
        known = Known(desire.address([Inputs.from_json(each) for each in items]), row.render_id, anew)
    return desire.wish(
        edges,
        situation.app,
        situation.repositories,
        revisions,
        seen.target,
        situation.credentials,
        fast,
        known,
    )
