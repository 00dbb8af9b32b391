"""Write the changes of one wave to the cluster: ranks in sequence, the objects of a rank in parallel.

One object's failure is a result and does not stop the others. Before every batch of at most 16 writes the caller is
asked whether to go on: the lease may be lost, a person may have said terminate, a newer commit may wait.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby

from driftline.adapters.cluster.cluster import Cluster
from driftline.drift.adoption import migration
from driftline.drift.clientside import CLIENT_MANAGER, NOTE, merged, why_client_side
from driftline.drift.collisions import list_patch
from driftline.drift.fields import FieldSet
from driftline.drift.leftovers import release_patch, removal_patch
from driftline.drift.schema import Type
from driftline.model.cluster import ApiRefused, Applied, ClusterUnreachable, Kinds, Refusal, Resource
from driftline.model.drift import FieldDrift
from driftline.model.errors import Failure, Permanent, Temporary
from driftline.model.marks import MANAGER
from driftline.model.objects import Key, Object
from driftline.model.plan import Action, Change, Op
from driftline.model.sync import ObjectResult, ResultStatus

BATCH = 16

ATTEMPTS = 3
"""How often a whole object is put together anew when it changes meanwhile."""

EXISTS = "exists already"
"""Marks the result of a create that met an object: it is looked at by name, and planned again."""


@dataclass(frozen=True)
class Written:
    """What came of one change, and the object as the API server answered it (None: gone, or nothing was written)."""

    change: Change
    result: ObjectResult
    body: Object | None = None
    refusal: Refusal | None = None
    going: bool = False
    """An older object is on its way out and has to be gone first: no result yet, come back soon."""
    client_side: bool = False
    away: ClusterUnreachable | None = None
    """The cluster gave no answer: whether it was written is unknown."""


@dataclass(frozen=True)
class Writer:
    """Applies changes to one cluster. `desired` holds the bodies, `adopt` the managers that adoption takes over."""

    cluster: Cluster
    kinds: Kinds
    desired: Mapping[Key, Object]
    adopt: frozenset[str]
    pool: ThreadPoolExecutor
    propagation: str = "foreground"
    dry_run: bool = False
    types: Callable[[Object], Type | None] = lambda body: None
    """The schema of an object's kind, for finding leftovers in keyed lists."""
    left_behind: Callable[[Key, Object], Sequence[FieldDrift]] = lambda key, answer: ()
    """What Git dropped and the answer to an apply still shows, held by others."""
    last: Callable[[Key], FieldSet] = lambda key: FieldSet()
    """What we wrote last of an object, for one that cannot be applied."""
    was_put: Callable[[Key], bool] = lambda key: False
    """Whether an object was written as a whole before: then our apply takes over what that write holds."""
    managers: Mapping[Key, str] = field(default_factory=dict)
    """Objects that are applied by another field manager than ours: namespaces made on request."""

    def wave(self, changes: Sequence[Change], go_on: Callable[[], bool]) -> Iterator[Written]:
        """Write a wave. Yields each outcome; stops before a batch when `go_on` says no, leaving the rest unwritten."""
        for _, rank in groupby(changes, key=lambda change: change.rank):
            left = list(rank)
            while left:
                if not go_on():
                    return
                batch, left = left[:BATCH], left[BATCH:]
                if len(batch) == 1:
                    yield self.write(batch[0])
                else:
                    yield from self.pool.map(self.write, batch)

    def write(self, change: Change) -> Written:
        """Write one change. Never raises for what the cluster answers: the outcome says it."""
        try:
            return self._write(change)
        except ApiRefused as refused:
            failed = _failed(change, refused.message, retryable=refused.refusal in RETRYABLE)
            return Written(change, failed, refusal=refused.refusal)
        except ClusterUnreachable as away:
            return Written(change, _failed(change, away.message, retryable=True), away=away)
        except Failure as failure:
            return Written(change, _failed(change, failure.message, retryable=isinstance(failure, Temporary)))

    def _write(self, change: Change) -> Written:
        if change.op is Op.PRUNE:
            return self._prune(change)
        body = self.desired[change.key]
        resource = self._resource(change.key, body)
        if change.op is Op.CREATE:
            return self._create(change, resource, body)
        if change.op is Op.HOOK:
            return _done(change, Applied(self.cluster.create(resource, body, dry_run=self.dry_run).body, True))
        if change.op is Op.RECREATE:
            return self._recreate(change, resource, body)
        if change.op is Op.ADOPT or (self.was_put(change.key) and not why_client_side(body, self.types(body))):
            self._migrate(change, resource)
        applied = self._apply(change, resource, body)
        if self.dry_run or applied.client_side:
            return _done(change, applied)
        if left := change.leftovers or self.left_behind(change.key, applied.body):
            applied = self._remove_leftovers(change, left, resource, body, applied)
        return _done(change, applied)

    def _apply(self, change: Change, resource: Resource, body: Object) -> Applied:
        """Apply; if hand-made items in Git's lists make the result invalid, put those lists back first."""
        manager = self.managers.get(change.key, MANAGER)
        if why_client_side(body, self.types(body)):
            return self._put(change, resource, body)
        try:
            return self.cluster.apply(resource, body, manager=manager, uid=change.uid, dry_run=self.dry_run)
        except ApiRefused as refused:
            if refused.refusal is Refusal.NO_APPLY:
                return self._put(change, resource, body)
            if refused.refusal is not Refusal.INVALID or self.dry_run or change.op is not Op.UPDATE:
                raise
            key = change.key
            live = self.cluster.get(resource, key.namespace, key.name)
            patch = list_patch(body, live) if live and live["metadata"]["uid"] == change.uid else []
            if not patch:
                raise
            self.cluster.json_patch(resource, key.namespace, key.name, patch)
        return self.cluster.apply(resource, body, manager=manager, uid=change.uid)

    def _put(self, change: Change, resource: Resource, body: Object) -> Applied:
        """Update three ways and write the whole, only onto the object and version that was read."""
        key = change.key
        for attempt in range(ATTEMPTS):
            live = self.cluster.get(resource, key.namespace, key.name)
            if live is None or (change.uid and live["metadata"]["uid"] != change.uid):
                raise ApiRefused(f"{key}: another object, or none, is in its place; looking again", Refusal.CONFLICT)
            whole = merged(body, live, self.last(key), self.types(body))
            try:
                applied = self.cluster.replace(resource, whole, manager=CLIENT_MANAGER, dry_run=self.dry_run)
            except ApiRefused as refused:
                if refused.refusal is not Refusal.CONFLICT or attempt == ATTEMPTS - 1:
                    raise
            else:
                return replace(applied, client_side=True)
        raise AssertionError("the last attempt returns or raises")

    def _post(self, change: Change, resource: Resource, body: Object) -> Written:
        """Create what cannot be applied."""
        try:
            applied = self.cluster.create(resource, body, manager=CLIENT_MANAGER, dry_run=self.dry_run)
        except ApiRefused as refused:
            if refused.refusal is not Refusal.EXISTS:
                raise
            return _met(change)
        return _done(change, replace(applied, client_side=True))

    def _remove_leftovers(
        self, change: Change, left: Sequence[FieldDrift], resource: Resource, body: Object, applied: Applied
    ) -> Applied:
        """Take away what Git dropped and others still hold; what cannot go by itself goes with the next apply."""
        key = change.key
        patch = removal_patch(applied.body, left, self.types(body))
        if not patch:
            return applied
        try:
            return Applied(self.cluster.json_patch(resource, key.namespace, key.name, patch), applied.created)
        except ApiRefused as refused:
            if refused.refusal not in (Refusal.INVALID, Refusal.IMMUTABLE):
                raise
        released = release_patch(applied.body, left)
        self.cluster.json_patch(resource, key.namespace, key.name, released)
        return self.cluster.apply(resource, body, uid=change.uid)

    def _create(self, change: Change, resource: Resource, body: Object) -> Written:
        """A create must create. An object that is there after all is looked at first, then planned again."""
        if why_client_side(body, self.types(body)):
            return self._post(change, resource, body)
        # Not forced: another manager's different value is a conflict, so nothing of a foreign object is overwritten.
        try:
            manager = self.managers.get(change.key, MANAGER)
            applied = self.cluster.apply(resource, body, manager=manager, force=False, dry_run=self.dry_run)
        except ApiRefused as refused:
            if refused.refusal is Refusal.NO_APPLY:
                return self._post(change, resource, body)
            if refused.refusal is not Refusal.CONFLICT:
                raise
            message = f"{change.key}: {EXISTS} with other values ({refused.message})"
            return Written(change, _failed(change, message, retryable=True), refusal=Refusal.EXISTS)
        if not applied.created and change.key in self.managers:
            return _done(change, applied)
        if not applied.created:
            return _met(change, applied.body)
        return _done(change, applied)

    def _migrate(self, change: Change, resource: Resource) -> None:
        """Take over the fields that earlier tools own, so that what Git drops later goes away."""
        if self.dry_run:
            return
        live = self.cluster.get(resource, change.key.namespace, change.key.name)
        patch = migration(live, self.adopt | {CLIENT_MANAGER}) if live else None
        if patch:
            self.cluster.json_patch(resource, change.key.namespace, change.key.name, patch)

    def _recreate(self, change: Change, resource: Resource, body: Object) -> Written:
        key = change.key
        live = self.cluster.get(resource, key.namespace, key.name)
        if live is not None and live["metadata"]["uid"] == change.uid and "deletionTimestamp" not in live["metadata"]:
            # In the background: the name is free at once, and what the old object owned goes after it.
            self.cluster.delete(
                resource,
                key.namespace,
                key.name,
                uid=change.uid,
                resource_version=live["metadata"]["resourceVersion"],
                propagation="background",
                dry_run=self.dry_run,
            )
            if self.dry_run:
                return _done(change, Applied(body, False))
            live = self.cluster.get(resource, key.namespace, key.name)
        if live is not None and "deletionTimestamp" in live["metadata"]:
            message = f"{key}: waiting for deletion before it is created again"
            return Written(change, _failed(change, message, retryable=True), going=True)
        return self._create(change, resource, body)

    def _prune(self, change: Change) -> Written:
        key = change.key
        resource = self.kinds.find(key.group, key.kind)
        if resource is None:
            # The kind went away with its CRD, and its objects with it; an unreachable group is not a missing kind.
            if key.group in self.kinds.broken:
                raise Temporary(f"{key}: the API group {key.group} does not answer; it is deleted when it does")
            return Written(change, ObjectResult(key, ResultStatus.PRUNED, Action.PRUNED, "gone with its kind"))
        self.cluster.delete(
            resource,
            key.namespace,
            key.name,
            uid=change.uid,
            resource_version=change.resource_version,
            propagation=self.propagation,
            dry_run=self.dry_run,
        )
        return Written(change, ObjectResult(key, ResultStatus.PRUNED, Action.PRUNED, "pruned"))

    def _resource(self, key: Key, body: Object) -> Resource:
        group, _, version = str(body["apiVersion"]).rpartition("/")
        resource = self.kinds.find(group, key.kind, version)
        if resource is not None:
            return resource
        served = self.kinds.find(group, key.kind)
        if served is not None:
            raise Permanent(f"{key}: the cluster serves version {served.version} of this kind, not {version}")
        if group in self.kinds.broken:
            raise Temporary(f"{key}: the API group {group} does not answer")
        raise ApiRefused(
            f"{key}: the cluster does not know the kind {key.group_kind}; is its CRD installed?",
            Refusal.KIND_NOT_SERVED,
        )


RETRYABLE = frozenset(
    {
        Refusal.CONFLICT,
        Refusal.NAMESPACE_MISSING,
        Refusal.NAMESPACE_TERMINATING,
        Refusal.KIND_NOT_SERVED,
        Refusal.UNAUTHORIZED,
    }
)
"""Refusals that may end by themselves, and are therefore worth the retries that the application allows."""

_ACTIONS = {
    Op.CREATE: Action.CREATED,
    Op.UPDATE: Action.UPDATED,
    Op.ADOPT: Action.ADOPTED,
    Op.CLAIM: Action.CLAIMED,
    Op.RECREATE: Action.RECREATED,
    Op.HOOK: Action.CREATED,
}


def _done(change: Change, applied: Applied) -> Written:
    action = _ACTIONS[change.op]
    uid = str((applied.body.get("metadata") or {}).get("uid", ""))
    words = f"{action} ({NOTE})" if applied.client_side else f"{action}"
    result = ObjectResult(change.key, ResultStatus.SYNCED, action, words, uid=uid)
    return Written(change, result, applied.body, client_side=applied.client_side)


def _met(change: Change, body: Object | None = None) -> Written:
    message = f"{change.key}: {EXISTS}; looking at it before taking it over"
    return Written(change, _failed(change, message, retryable=True), body, Refusal.EXISTS)


def _failed(change: Change, message: str, retryable: bool) -> ObjectResult:
    status = ResultStatus.PRUNE_SKIPPED if change.op is Op.PRUNE else ResultStatus.SYNC_FAILED
    return replace(ObjectResult(change.key, status), message=message, retryable=retryable)
