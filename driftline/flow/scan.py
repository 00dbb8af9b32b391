"""LIST what one cluster holds of us, when `watch` does not see it anyway: the safety net behind every other path.

One LIST per kind, by our installation's label, serves all applications. What is as it was last compared costs nothing
more; an object that is not in its LIST proves nothing until a GET by name has answered.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from driftline.adapters.cluster.cluster import Cluster
from driftline.adapters.store import clusters, jobs, live, objects
from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.store.jobs import Job
from driftline.adapters.store.live import Known, Sighting
from driftline.adapters.store.objects import ObjectState, WatchedKind
from driftline.flow import observe, reach
from driftline.flow.edges import Edges
from driftline.flow.reading import BY_NAME
from driftline.flow.subjects import number_of
from driftline.model.cluster import ApiRefused, ClusterUnreachable, Refusal, Resource
from driftline.model.drift import VerdictState
from driftline.model.errors import Failure, Temporary
from driftline.model.marks import INSTALLATION_LABEL
from driftline.model.objects import Key, Object, group_of, key_of, version_of

FRESH = timedelta(seconds=60)
"""A watch whose last bookmark is younger than this sees everything: no LIST is needed."""


def run(job: Job, edges: Edges) -> tuple[int, ...]:
    """Check one cluster. A cluster that does not answer keeps its verdicts, which age, and loses nothing."""
    with edges.store.read() as db:
        row = clusters.by_id(db, number_of(job))
        forced = bool((job.payload or {}).get("force"))
        kinds = objects.by_kinds(db, row.uid) if row and row.uid else []
    if row is None or (watched(row, edges) and not forced and row.failing_since is None):
        with edges.store.write() as db:
            jobs.finish(db, job)
        return ()
    try:
        cluster = edges.cluster(row)
        uid, version = cluster.uid(), cluster.version()
    except Failure as failure:
        _unreachable(job, row, failure, edges)
        return ()
    try:
        for kind in kinds:
            _check(edges, cluster, row, kind)
            _still_ours(edges, job)
    except (ClusterUnreachable, ApiRefused) as failure:
        _unreachable(job, row, failure, edges)
        return ()
    with edges.store.write() as db:
        wake = reach.back(db, edges, row, uid, version)
        jobs.finish(db, job)
    edges.hint(wake)
    return ()


def _check(edges: Edges, cluster: Cluster, row: ClusterRow, kind: WatchedKind) -> None:
    """One kind. That it is refused, as by a role that may not list Secrets, says nothing of the others."""
    try:
        check_kind(edges, cluster, row, kind)
    except ApiRefused as refused:
        if refused.refusal is Refusal.UNAUTHORIZED:
            raise
        edges.log.warning("kind not checked", cluster=row.name, kind=kind.kind, reason=refused.message)


def watched(row: ClusterRow, edges: Edges) -> bool:
    """Whether a living watch sees the cluster."""
    return row.watch_bookmark_at is not None and edges.now() - row.watch_bookmark_at < FRESH


def check_kind(edges: Edges, cluster: Cluster, row: ClusterRow, kind: WatchedKind) -> None:
    """LIST one kind and hand on what is not as it was. Raises what the API server answers; a partial LIST is none."""
    resource = cluster.kinds().find(group_of(kind.api_version), kind.kind, version_of(kind.api_version))
    with edges.store.read() as db:
        owned = live.known_of_kind(db, row.id, row.uid, kind)
    if resource is None:
        # The kind is not served any more, or its group does not answer: unknown, not deleted. The look decides.
        observe.observe(edges, row, [observe.Seen(Key.parse(key_id), None) for key_id in owned])
        return
    selector = f"{INSTALLATION_LABEL}={edges.installation}"
    listed = cluster.survey(resource, selector, lambda body: observe.sighting(key_of(body), body))
    sightings = [each for each in listed if each.key_id in owned]
    found = {each.key_id for each in sightings}
    absent = [each for each in owned.values() if each.key_id not in found and each.state != ObjectState.WANTED]
    strays, gone = by_name(cluster, resource, [Key.parse(each.key_id) for each in absent])
    sightings += [observe.sighting(key, body) for key, body in strays.items()]
    news = [each for each in sightings if _is_news(each, owned[each.key_id])]
    missing = {key.id for key in gone if not owned[key.id].gone}
    unmarked = {key.id for key in strays}
    if not (news or missing or unmarked):
        return
    with edges.store.write() as db:
        wake = observe.note(db, edges, row, news, missing | unmarked, missing)
    edges.hint(wake)


def typed(item: Object, resource: Resource) -> Object:
    """An item of a LIST with the apiVersion and kind that LISTs leave out."""
    return item if "kind" in item else {"apiVersion": resource.api_version, "kind": resource.kind, **item}


def by_name(cluster: Cluster, resource: Resource, keys: Sequence[Key]) -> tuple[Mapping[Key, Object], Sequence[Key]]:
    """Look for objects that a labelled LIST does not show: those that are there after all, and those that are gone."""
    if len(keys) > BY_NAME:
        everything = {key_of(item): item for item in (typed(i, resource) for i in cluster.list(resource).items)}
        found: dict[Key, Object | None] = {key: everything.get(key) for key in keys}
    else:
        found = {key: cluster.get(resource, key.namespace, key.name) for key in keys}
    there = {key: body for key, body in found.items() if body is not None}
    return there, [key for key in keys if key not in there]


def _is_news(seen: Sighting, known: Known) -> bool:
    """Whether an object is not as it was last seen, or that was not as Git wants it."""
    if known.gone is not False or known.live_digest != seen.digest or known.verdict != VerdictState.SYNCED:
        return True
    before = (known.uid, known.digest, known.health_status, known.health_message, known.deleting)
    return before != (seen.uid, seen.digest, seen.health_status, seen.health_message, seen.deleting)


def _still_ours(edges: Edges, job: Job) -> None:
    with edges.store.write() as db:
        jobs.renew(db, job, edges.settings.job_lease)


def _unreachable(job: Job, row: ClusterRow, failure: Failure, edges: Edges) -> None:
    with edges.store.write() as db:
        wake = reach.away(db, edges, row, failure)
        delay = failure.delay if isinstance(failure, Temporary) else timedelta(minutes=1)
        jobs.finish(db, job, run_at=edges.now() + delay)
    edges.log.warning("cluster check failed", cluster=row.name, reason=failure.message)
    edges.hint(wake)
