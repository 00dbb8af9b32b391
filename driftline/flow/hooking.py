"""Hooks: make them once, follow them to their end, and clear them away as they say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from driftline.adapters.cluster.cluster import Cluster
from driftline.flow.reading import Reader
from driftline.health.table import health_of
from driftline.model.cluster import ApiRefused, Refusal, Resource
from driftline.model.marks import INSTALLATION_LABEL, tracked_by
from driftline.model.objects import Key, Object, annotations_of, labels_of
from driftline.model.plan import Action, Change, Phase
from driftline.model.sync import ObjectResult, ResultStatus
from driftline.sync.hooks import DeletePolicy, Hook, HookSeen, HookState, outcome, outcome_of_vanished, to_delete

SYNC_MARK = "driftline.io/sync"
FINALIZER = "argocd.argoproj.io/hook-finalizer"
"""Argo CD's: keeps a finished hook readable until its outcome is stored, whatever its time to live."""


@dataclass(frozen=True)
class Hooks:
    """The hooks of one attempt in one cluster. `mark` is `<sync id>/<attempt>`."""

    reader: Reader
    mark: str
    known: Mapping[tuple[Phase, Key], Hook]
    application: str
    installation: str
    """By its label the watch sees them end."""

    @property
    def cluster(self) -> Cluster:
        return self.reader.cluster

    def make(self, change: Change, phase: Phase, now: datetime) -> HookSeen | ObjectResult | None:
        """Create a hook, or find the one that an interrupted worker made. None: an older one has to go first."""
        hook = self.known[phase, change.key]
        resource = self._resource(hook)
        if resource is None:
            return _refused(change, f"{change.key}: the cluster does not know this kind of hook")
        try:
            found = self.cluster.get(resource, hook.key.namespace, hook.key.name)
            if found is not None and annotations_of(found).get(SYNC_MARK) == self.mark:
                return HookSeen(HookState.RUNNING, since=now)
            if found is not None:
                if not self._ours(found):
                    return _refused(
                        change, f"{change.key}: exists and is no hook of this application; rename one of them"
                    )
                if DeletePolicy.BEFORE_HOOK_CREATION not in hook.policies:
                    return _refused(change, f"{change.key}: exists from an earlier sync, and its policy keeps it")
                self._delete(resource, found)
                return None
            self.cluster.create(resource, self._marked(hook.body))
        except ApiRefused as refused:
            if refused.refusal is Refusal.EXISTS:
                return None
            return _refused(change, refused.message)
        return HookSeen(HookState.RUNNING, since=now)

    def _ours(self, found: Object) -> bool:
        """Whether a live object is an earlier run of a hook of this application, ours or Argo CD's."""
        tracked = tracked_by(found)
        return SYNC_MARK in annotations_of(found) or (tracked is not None and tracked.application == self.application)

    def follow(self, seen: Mapping[tuple[Phase, Key], HookSeen]) -> dict[tuple[Phase, Key], HookSeen]:
        """Where the hooks stand now. Raises Failure if the cluster does not answer: an outcome is never guessed."""
        found = dict(seen)
        for place, hook_seen in seen.items():
            hook = self.known.get(place)
            if hook_seen.state is not HookState.RUNNING or hook is None:
                continue
            resource = self._resource(hook)
            body = self.cluster.get(resource, hook.key.namespace, hook.key.name) if resource else None
            if body is None:
                found[place] = outcome_of_vanished(hook.key, hook_seen)
            else:
                found[place] = outcome(health_of(_undeleted(body)), hook_seen)
        return found

    def release(self, seen: Mapping[tuple[Phase, Key], HookSeen], succeeded: bool | None) -> None:
        """Let go of hooks whose outcome is stored; once the operation has ended, delete those that say so.

        Tries every one, then raises the first refusal of the API server.
        """
        done = [
            self.known[place]
            for place, each in seen.items()
            if each.state is not HookState.RUNNING and place in self.known
        ]
        going = (
            {(each.phase, each.key) for each in to_delete(done, seen, succeeded)} if succeeded is not None else set()
        )
        self._let_go_all([(hook, (hook.phase, hook.key) in going) for hook in done])

    def stop(self, places: Sequence[tuple[Phase, Key]]) -> None:
        """Delete running hooks of a terminated sync. Tries every one, then raises the first refusal."""
        self._let_go_all([(self.known[place], True) for place in places if place in self.known])

    def _let_go_all(self, hooks: Sequence[tuple[Hook, bool]]) -> None:
        """One that is refused does not keep the others: with our finalizer left on, their namespace could not end."""
        first: ApiRefused | None = None
        for hook, delete in hooks:
            try:
                self._let_go(hook, delete)
            except ApiRefused as refused:
                if self._mine(hook) is not None:
                    first = first or refused
        if first is not None:
            raise first

    def _let_go(self, hook: Hook, delete: bool) -> None:
        resource, body = self._resource(hook), self._mine(hook)
        if resource is None or body is None:
            return
        if delete:
            self._delete(resource, body)
        else:
            self._unprotect(resource, body)

    def _mine(self, hook: Hook) -> Object | None:
        """What is there of a hook that this attempt has made."""
        resource = self._resource(hook)
        body = self.cluster.get(resource, hook.key.namespace, hook.key.name) if resource else None
        return body if body is not None and annotations_of(body).get(SYNC_MARK) == self.mark else None

    def _delete(self, resource: Resource, body: Object) -> None:
        metadata = body["metadata"]
        self._unprotect(resource, body)
        self.cluster.delete(
            resource,
            metadata.get("namespace", ""),
            metadata["name"],
            uid=metadata["uid"],
            propagation="background",
        )

    def _unprotect(self, resource: Resource, body: Object) -> None:
        unprotect(self.cluster, resource, body)

    def _marked(self, body: Object) -> Object:
        metadata = dict(body["metadata"])
        metadata["labels"] = {**labels_of(body), INSTALLATION_LABEL: self.installation}
        metadata["annotations"] = {**annotations_of(body), SYNC_MARK: self.mark}
        metadata["finalizers"] = [*(metadata.get("finalizers") or ()), FINALIZER]
        return {**body, "metadata": metadata}

    def _resource(self, hook: Hook) -> Resource | None:
        return self.reader.resource(hook.key, str(hook.body["apiVersion"]))


def _undeleted(body: Object) -> Object:
    """A hook that is being deleted is judged by what it came to: our finalizer is all that keeps it."""
    metadata = {name: value for name, value in body["metadata"].items() if name != "deletionTimestamp"}
    return {**body, "metadata": metadata}


def _refused(change: Change, message: str) -> ObjectResult:
    return ObjectResult(change.key, ResultStatus.SYNC_FAILED, message=message)


def ran(change: Change, seen: HookSeen) -> ObjectResult:
    """A hook as one of the objects of a sync, for people."""
    status = ResultStatus.SYNC_FAILED if seen.state is HookState.FAILED else ResultStatus.SYNCED
    return replace(ObjectResult(change.key, status, Action.RAN), message=seen.message or str(seen.state))


def abandon(reader: Reader, operation: str, keys: Sequence[Key], keep: bool = False) -> None:
    """Delete the hooks that an operation made and that nobody will follow any more, or let go of them to `keep` them.

    `operation` is what stands before the attempt in their marks. Hooks of other operations are left alone.
    """
    for key in keys:
        resource = reader.resource(key)
        body = reader.cluster.get(resource, key.namespace, key.name) if resource else None
        if resource is None or body is None:
            continue
        if annotations_of(body).get(SYNC_MARK, "").startswith(f"{operation}/"):
            unprotect(reader.cluster, resource, body)
            if keep:
                continue
            metadata = body["metadata"]
            reader.cluster.delete(resource, key.namespace, key.name, uid=metadata["uid"], propagation="background")


def unprotect(cluster: Cluster, resource: Resource, body: Object) -> None:
    """Take our finalizer off a hook, if it is still this very object."""
    metadata = body["metadata"]
    kept = [each for each in metadata.get("finalizers") or () if each != FINALIZER]
    if len(kept) == len(metadata.get("finalizers") or ()):
        return
    patch = {"metadata": {"finalizers": kept, "uid": metadata["uid"]}}
    cluster.merge_patch(resource, metadata.get("namespace", ""), metadata["name"], patch)
