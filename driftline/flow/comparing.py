"""Find out what differs between Git and a cluster for one application, asking the API server only about suspects."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from driftline.adapters.cluster.cluster import Cluster
from driftline.adapters.store.live import LiveRow
from driftline.adapters.store.objects import ObjectRow, ObjectState
from driftline.drift.clientside import compare_client_side
from driftline.drift.collisions import list_patch
from driftline.drift.compare import compare, judge, judge_refusal
from driftline.drift.context import Context
from driftline.drift.fields import FieldSet
from driftline.drift.leftovers import removal_patch, settle
from driftline.flow.reading import Reader
from driftline.flow.schemas import SchemaCache
from driftline.model.application import IgnoreRule
from driftline.model.cluster import ApiRefused, ClusterUnreachable, Refusal, Resource
from driftline.model.drift import Verdict, VerdictState
from driftline.model.errors import Failure
from driftline.model.marks import Marks
from driftline.model.objects import Key, Object, annotations_of

IN_THE_WAY = "items that are not in Git stand in the way; the list is put back as a whole"

COMPARE_OPTIONS = "argocd.argoproj.io/compare-options"


@dataclass(frozen=True)
class Ledger:
    """What the database knows of one application's objects in its cluster."""

    owned: Mapping[Key, ObjectRow]
    live: Mapping[str, LiveRow]


@dataclass(frozen=True)
class Compared:
    """The outcome for every wanted key that is not settled, and what was read for it."""

    verdicts: Mapping[Key, Verdict] = field(default_factory=dict)
    bodies: Mapping[Key, Object | None] = field(default_factory=dict)
    """Live objects that were read by name; None: 404."""
    settled: frozenset[Key] = frozenset()
    """Keys that are as they were when last found in sync: nothing was asked about them."""
    away: ClusterUnreachable | None = None
    """Set if the cluster gave no answer about some object, which says nothing about the object."""


@dataclass(frozen=True)
class Comparer:
    """Compares the objects of one application in one cluster."""

    reader: Reader
    schemas: SchemaCache
    marks: Marks
    namespace: str
    ignore: tuple[IgnoreRule, ...]
    now: datetime
    unwell: frozenset[str] = frozenset()
    """Ids of keys that are read again though nothing has moved: nobody else would see them get well."""
    fresh: bool = False
    """Whether every object is read from the cluster, whatever is known of it: for people who ask now."""

    @property
    def cluster(self) -> Cluster:
        return self.reader.cluster

    def compare(
        self,
        wanted: Mapping[Key, Object],
        digests: Mapping[Key, str],
        ledger: Ledger,
        undecided: frozenset[Key] = frozenset(),
    ) -> Compared:
        """Verdicts for what Git wants. Objects that were never made are not asked about: a create has to create.

        Keys in `undecided` may stay suspects: Git changed them, so they are written whatever a dry run would say.
        """
        settled = {key for key in wanted if self.settled(ledger, key, digests[key])}
        fresh = {key for key in wanted if key not in ledger.owned}
        asked = {key: str(wanted[key]["apiVersion"]) for key in wanted if key not in settled and key not in fresh}
        reads = self.reader.read(asked)
        verdicts = {key: _unreadable(key, failure) for key, failure in reads.failed.items()}
        suspects = [(key, wanted[key], reads.found[key], ledger.owned[key]) for key in sorted(reads.found)]

        def judged(item: tuple[Key, Object, Object | None, ObjectRow]) -> tuple[Key, Verdict]:
            key, desired, live, row = item
            return key, self.examine(key, desired, live, row, key not in undecided)

        verdicts.update(self.reader.pool.map(judged, suspects) if len(suspects) > 1 else map(judged, suspects))
        away = next((each for each in reads.failed.values() if isinstance(each, ClusterUnreachable)), None)
        return Compared(verdicts, dict(reads.found), frozenset(settled), away)

    def settled(self, ledger: Ledger, key: Key, digest: str) -> bool:
        """Whether neither side has moved since the object was found in sync, which is not too long ago."""
        if self.fresh or key.id in self.unwell:
            return False
        row, live = ledger.owned.get(key), ledger.live.get(key.id)
        if row is None or live is None or row.state != ObjectState.OWNED or live.gone or live.deleting:
            return False
        if row.verdict is not VerdictState.SYNCED or row.desired_digest != digest:
            return False
        if row.verdict_until is not None and row.verdict_until < self.now:
            return False
        return (row.uid, row.live_digest) == (live.uid, live.digest)

    def examine(
        self, key: Key, desired: Object, live: Object | None, row: ObjectRow | None, decide: bool = True
    ) -> Verdict:
        """The verdict on one object: from its values if they prove it, else from a dry run of the apply."""
        resource = self.reader.resource(key, str(desired["apiVersion"]))
        if resource is None:
            return _unreadable(key, self.reader.unserved(key, str(desired["apiVersion"])))
        context = self.context(desired, row)
        verdict = compare(desired, live, context)
        if verdict.state is not VerdictState.SUSPECT or live is None or not decide:
            return verdict
        return self._dry_run(key, desired, live, resource, context)

    def context(self, desired: Object, row: ObjectRow | None) -> Context:
        """The circumstances of comparing one object."""
        api_version = str(desired["apiVersion"])
        options = str(annotations_of(desired).get(COMPARE_OPTIONS, ""))
        return Context(
            type=self.schemas.type_of(self.cluster, api_version, str(desired["kind"])),
            marks=self.marks,
            namespace=self.namespace,
            owned_uid=row.uid if row else "",
            applied=FieldSet.parse(row.applied_fields) if row and row.applied_fields is not None else None,
            ignore=self.ignore,
            include_mutations="IncludeMutationWebhook=true" in options,
        )

    def _dry_run(self, key: Key, desired: Object, live: Object, resource: Resource, context: Context) -> Verdict:
        """Ask the API server what an apply would do to exactly this object; once more if it moved meanwhile."""
        for attempt in (1, 2):
            metadata = live["metadata"]
            try:
                answer = self.cluster.apply(
                    resource,
                    desired,
                    uid=metadata["uid"],
                    resource_version=metadata["resourceVersion"],
                    dry_run=True,
                )
                return self._settled_leftovers(judge(desired, live, answer.body, context), live, resource, context)
            except ApiRefused as refused:
                if refused.refusal is Refusal.NO_APPLY:
                    return compare_client_side(desired, live, context)
                if refused.refusal is Refusal.INVALID and self._can_put_back(key, desired, live, resource):
                    return replace(compare(desired, live, context), state=VerdictState.DRIFTED, reason=IN_THE_WAY)
                if refused.refusal is not Refusal.CONFLICT or attempt == 2:
                    return judge_refusal(desired, live, refused.refusal, refused.message, context)
            except Failure as failure:
                return _unreadable(key, failure)
            try:
                again = self.cluster.get(resource, key.namespace, key.name)
            except Failure as failure:
                return _unreadable(key, failure)
            verdict = compare(desired, again, context)
            if again is None or verdict.state is not VerdictState.SUSPECT:
                return verdict
            live = again
        raise AssertionError("two attempts always end")

    def _can_put_back(self, key: Key, desired: Object, live: Object, resource: Resource) -> bool:
        """Whether the apply is refused only because of items that somebody put into Git's lists."""
        patch = list_patch(desired, live)
        if not patch:
            return False
        try:
            self.cluster.json_patch(resource, key.namespace, key.name, patch, dry_run=True)
        except Failure:
            return False
        return True

    def _settled_leftovers(self, verdict: Verdict, live: Object, resource: Resource, context: Context) -> Verdict:
        """Leftovers whose removal would bring them back are defaults: a dry run of each removal tells."""
        answers: dict[str, Object | None] = {}
        for each in verdict.leftovers:
            patch = removal_patch(live, [each], context.type)
            if not patch:
                continue
            key = verdict.key
            try:
                answers[each.path] = self.cluster.json_patch(resource, key.namespace, key.name, patch, dry_run=True)
            except ApiRefused:
                answers[each.path] = None
        return settle(verdict, answers, context.type) if verdict.leftovers else verdict


def _unreadable(key: Key, failure: Failure) -> Verdict:
    """A read that failed says nothing about the object, unless the answer was about its kind or namespace."""
    states = {
        Refusal.KIND_NOT_SERVED: VerdictState.KIND_NOT_SERVED,
        Refusal.NAMESPACE_MISSING: VerdictState.NAMESPACE_MISSING,
    }
    state = VerdictState.UNKNOWN
    if isinstance(failure, ApiRefused):
        state = states.get(failure.refusal, VerdictState.UNKNOWN)
    return Verdict(key, state, reason=failure.message)
