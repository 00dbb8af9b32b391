"""Read live objects by name, many at once. A read that fails is an error for that object, never an absence."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta

from driftline.adapters.cluster.cluster import Cluster
from driftline.drift.adoption import will_go
from driftline.drift.context import Context
from driftline.model.cluster import ApiRefused, Kinds, Refusal, Resource
from driftline.model.errors import Failure, Temporary
from driftline.model.marks import INSTALLATION_LABEL, Marks, marked, tracked_by
from driftline.model.objects import Key, Object, annotations_of, group_of, key_of, labels_of, version_of
from driftline.sync.given import LiveSeen

BY_NAME = 50
"""Up to so many objects of a kind are asked for by name; above it one LIST is cheaper."""

RECENT = timedelta(hours=1)


@dataclass(frozen=True)
class Reads:
    """What was asked for by name: bodies (None: a GET answered 404), and the keys that could not be read."""

    found: Mapping[Key, Object | None] = field(default_factory=dict)
    failed: Mapping[Key, Failure] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """Reads from one cluster."""

    cluster: Cluster
    kinds: Kinds
    pool: ThreadPoolExecutor

    def resource(self, key: Key, api_version: str = "") -> Resource | None:
        """Where objects of a key's kind live, in the given version if it is served, else in the preferred one."""
        version = version_of(api_version) if api_version and group_of(api_version) == key.group else ""
        return self.kinds.find(key.group, key.kind, version) or (
            None if version else self.kinds.find(key.group, key.kind)
        )

    def read(self, wanted: Mapping[Key, str]) -> Reads:
        """Read objects: key -> apiVersion to read it in. Above `BY_NAME` of a kind and namespace set, by one LIST."""
        groups: dict[tuple[str, str, str], list[Key]] = defaultdict(list)
        for key, api_version in sorted(wanted.items()):
            groups[key.group, key.kind, api_version].append(key)
        found: dict[Key, Object | None] = {}
        failed: dict[Key, Failure] = {}
        single: list[tuple[Key, Resource]] = []
        for (_, _, api_version), keys in groups.items():
            resource = self.resource(keys[0], api_version)
            if resource is None:
                failed.update((key, self.unserved(key, api_version)) for key in keys)
            elif len(keys) > BY_NAME:
                self._list(resource, keys, found, failed)
            else:
                single += [(key, resource) for key in keys]
        for key, answer in self.pool.map(self._get, single) if len(single) > 1 else map(self._get, single):
            if isinstance(answer, Failure):
                failed[key] = answer
            else:
                found[key] = answer
        return Reads(found, failed)

    def read_owned(self, keys: Iterable[Key]) -> Reads:
        """Read objects of the inventory, in whatever version their kinds are served now.

        A kind that complete and fresh discovery does not know has gone with its objects. One whose group does not
        answer is an error: nothing is known of its objects.
        """
        wanted = sorted(keys)
        sure = self if all(self.kinds.knows(key.group_kind) for key in wanted) else self.renewed()
        known = {key: "" for key in wanted if sure.kinds.knows(key.group_kind)}
        reads = sure.read(known)
        vanished = [key for key in wanted if key not in known]
        silent: dict[Key, Failure] = {
            key: Temporary(f"{key}: the API group {key.group} does not answer")
            for key in vanished
            if key.group in sure.kinds.broken
        }
        gone: dict[Key, Object | None] = {key: None for key in vanished if key not in silent}
        return Reads({**reads.found, **gone}, {**reads.failed, **silent})

    def renewed(self) -> "Reader":
        """A reader that has asked the API server anew what it serves: our copy may be older than a new CRD."""
        return replace(self, kinds=self.cluster.kinds(refresh=True))

    def unserved(self, key: Key, api_version: str = "") -> ApiRefused:
        """The error for a kind that this cluster does not serve."""
        if key.group in self.kinds.broken:
            return ApiRefused(f"{key}: the API group {key.group} does not answer", Refusal.UNAUTHORIZED)
        served = self.kinds.find(key.group, key.kind)
        if served is not None:
            why = f"version {version_of(api_version)} of {key.group_kind} is not served, {served.version} is"
            return ApiRefused(f"{key}: {why}; change apiVersion in Git", Refusal.KIND_NOT_SERVED)
        why = f"the cluster does not know the kind {key.group_kind}; is its CRD installed?"
        return ApiRefused(f"{key}: {why}", Refusal.KIND_NOT_SERVED)

    def _get(self, item: tuple[Key, Resource]) -> tuple[Key, Object | Failure | None]:
        key, resource = item
        try:
            return key, self.cluster.get(resource, key.namespace, key.name)
        except Failure as failure:
            return key, failure

    def _list(
        self, resource: Resource, keys: list[Key], found: dict[Key, Object | None], failed: dict[Key, Failure]
    ) -> None:
        namespaces = {key.namespace for key in keys}
        namespace = namespaces.pop() if len(namespaces) == 1 else ""
        try:
            listing = self.cluster.list(resource, namespace)
        except Failure as failure:
            failed.update((key, failure) for key in keys)
            return
        everything = {key_of(item): item for item in listing.items}
        found.update((key, everything.get(key)) for key in keys)


def live_seen(
    body: Object | None,
    marks: Marks,
    desired: Object | None = None,
    context: Context | None = None,
    met: bool = False,
) -> LiveSeen | None:
    """What a plan needs to know of an object that was read by name.

    `met`: a create has just found it there and merged our marks into it. They prove nothing then; it is to be adopted.
    """
    if body is None:
        return None
    metadata = body["metadata"]
    tracked = tracked_by(body)
    ours = marked(body, marks) and not met
    owner = next((each for each in metadata.get("ownerReferences") or () if each.get("controller") is True), None)
    controlled = f"{group_of(owner['apiVersion'])}/{owner['kind']}/{owner['name']}".lstrip("/") if owner else ""
    adopting = desired is not None and context is not None and not ours
    return LiveSeen(
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        marked=ours,
        ours=labels_of(body).get(INSTALLATION_LABEL) == marks.installation and not met,
        tracked_by=tracked.application if tracked and not (met and tracked.application == marks.application) else "",
        deleting="deletionTimestamp" in metadata,
        annotations=annotations_of(body),
        controlled=controlled,
        will_go=will_go(desired, body, context) if adopting and desired is not None and context is not None else (),
    )
