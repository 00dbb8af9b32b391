"""Answer questions about an application without changing anything: its plan, its diff, its tree, its manifests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from driftline.adapters.store import applications, clusters, drifts, live, objects
from driftline.adapters.store.applications import ApplicationBrief, ApplicationRow
from driftline.adapters.store.jobs import Job, JobState
from driftline.adapters.store.live import LiveRow
from driftline.adapters.store.objects import ObjectRow, ObjectState
from driftline.drift.diff import text_diff
from driftline.flow import looking
from driftline.flow.edges import Edges
from driftline.flow.planmaking import Ask, make_plan
from driftline.flow.plans import fields_view, plan_view
from driftline.flow.situation import OWN, Situation, parsed, read
from driftline.model.drift import VerdictState
from driftline.model.errors import Permanent
from driftline.model.health import HealthStatus
from driftline.model.masking import mask_object, mask_together
from driftline.model.objects import Key, Object, group_of, version_of
from driftline.sync.options import wants_confirmation


@dataclass(frozen=True)
class ObjectDiff:
    """One object that is not as Git says: masked text and fields."""

    key: Key
    state: str
    """`drifted`, `missing`, `extra` (Git no longer names it), `behind` (Git has changed it), or a verdict's word."""
    text: str
    fields: Sequence[Mapping[str, Any]] = ()
    reason: str = ""


@dataclass(frozen=True)
class PlanView:
    """A plan for people, and whether it would do anything."""

    view: Mapping[str, Any]
    empty: bool
    digest: str
    revisions: tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """One managed object with what is known of it."""

    key: Key
    api_version: str
    uid: str
    sync_status: str
    health_status: str
    health_message: str
    wave: int
    state: str
    reason: str
    drifted_fields: int = 0
    confirm: bool = False
    """Whether a person has to confirm its deletion."""
    prune: bool = False
    """Whether Git does not want it any more, so that only a prune makes the application Synced."""
    cluster: str = ""
    """The former cluster in which it is left; empty in the application's own."""
    seen_at: datetime | None = None
    parents: tuple[Key, ...] = field(default=())


def plan(edges: Edges, name: str, revision: str = "", prune: bool | None = None) -> PlanView:
    """What a sync would do now, with an API server's dry run behind every changed object. Nothing is written."""
    found = _look(edges, name, revision)
    app = found.situation.app
    wanted = prune if prune is not None else bool(app.automated and app.automated.prune)
    made, _ = make_plan(edges, found, Ask(prune=wanted, started_at=edges.now(), check_owners=True))
    view = plan_view(made, edges.settings.signing_key.encode())
    return PlanView(view, made.empty and not made.held and not made.problems, made.digest, found.wish.revisions)


def diff(edges: Edges, name: str, revision: str = "") -> tuple[ObjectDiff, ...]:
    """Every object that is not as Git says, as masked text diffs (live before, Git after)."""
    found = _look(edges, name, revision)
    return diffs_of(edges, found)


def diffs_of(edges: Edges, found: looking.Look) -> tuple[ObjectDiff, ...]:
    """The differences that a look has found."""
    secret = edges.settings.signing_key.encode()
    situation = found.situation
    versions = {key: situation.owned[key].api_version for key in found.extras if key.group != "argoproj.io"}
    extras = found.view.reader.read(versions).found
    shown = []
    for key in found.status.out_of_sync:
        verdict = found.compared.verdicts.get(key)
        body = extras.get(key) if key in found.extras else found.compared.bodies.get(key)
        desired = None if key in found.extras else found.wanted[key].body
        before, after = _masked(body, desired)
        state = "extra" if key in found.extras else _word(found, key)
        fields = fields_view(key, (*verdict.fields, *verdict.leftovers), secret) if verdict else []
        shown.append(
            ObjectDiff(key, state, text_diff(before, after, str(key)), fields, verdict.reason if verdict else "")
        )
    return tuple(shown)


def _word(found: looking.Look, key: Key) -> str:
    verdict = found.compared.verdicts.get(key)
    if key in found.behind and key not in found.situation.owned:
        return "missing"
    if key in found.behind:
        return "behind"
    return str(verdict.state) if verdict else str(VerdictState.DRIFTED)


def _masked(live_body: Object | None, desired: Object | None) -> tuple[Object | None, Object | None]:
    """Both sides masked together, so that equal secrets look equal."""
    if live_body is not None and desired is not None:
        # What the server and others add is no difference: only what Git sets is shown of the live side.
        two, one = mask_together(desired, _only(live_body, desired))
        return one, two
    return (mask_object(live_body) if live_body else None), (mask_object(desired) if desired else None)


def _only(live_value: Any, desired: Any) -> Any:
    """The part of a live value at the paths that Git sets."""
    if isinstance(live_value, dict) and isinstance(desired, dict):
        return {name: _only(live_value[name], desired[name]) for name in desired if name in live_value}
    if isinstance(live_value, list) and isinstance(desired, list) and desired and isinstance(desired[0], dict):
        return [_only(item, _partner(item, position, desired)) for position, item in enumerate(live_value)]
    return live_value


def _partner(item: Any, position: int, desired: Sequence[Any]) -> Any:
    """The item of Git's list that stands for a live one: by its name, else by its place."""
    for name in ("name", "containerPort", "port", "mountPath", "key"):
        if isinstance(item, dict) and name in item:
            found = next((each for each in desired if isinstance(each, dict) and each.get(name) == item[name]), None)
            if found is not None:
                return found
            return item
    return desired[position] if position < len(desired) else item


def tree(edges: Edges, name: str) -> tuple[Node, ...]:
    """The managed objects of an application as the database knows them, former clusters included; asks no cluster."""
    with edges.store.read() as db:
        row = _row(db, name)
        owned = objects.of_application(db, row.id)
        known = clusters.everything(db)
        seen = live.of_application(db, row.id)
        open_drift: dict[str, int] = {}
        for interval in drifts.page(db, row.id, only_open=True, limit=1000):
            open_drift[interval.key_id] = open_drift.get(interval.key_id, 0) + 1
        children = {child.name: child for child in applications.children(db, row.id)}
    asked = parsed(row).sync_options
    nodes = []
    for each in owned:
        at = next((cluster for cluster in known if cluster.uid == each.cluster_uid), None)
        here = each.cluster_uid == OWN or (at is not None and at.id == row.cluster_id)
        found = seen.get((at.id, each.key_id)) if at else None
        node = _node(each, found, children.get(each.key.name) if each.cluster_uid == OWN else None)
        node = replace(node, confirm=wants_confirmation(asked, each.options or ()))
        if here:
            node = replace(node, drifted_fields=open_drift.get(each.key_id, 0))
        else:
            place = at.name if at else each.cluster_uid
            reason = f"left in cluster {place}, a former destination"
            node = replace(node, sync_status="OutOfSync", reason=reason, prune=True, cluster=place)
        nodes.append(node)
    return tuple(nodes)


def _node(each: ObjectRow, found: LiveRow | None, child: ApplicationBrief | None) -> Node:
    status, message = each.health_status, each.health_message
    if child is not None:
        status, message = child.health_status, child.health_message
    elif found is not None:
        status, message = found.health_status, found.health_message
    elif each.state != ObjectState.OWNED:
        status, message = HealthStatus.MISSING, ""
    return Node(
        key=each.key,
        api_version=each.api_version,
        uid=each.uid,
        sync_status=_sync_word(ObjectState(each.state), each.verdict),
        health_status=str(status),
        health_message=message,
        wave=each.wave,
        state=str(each.state),
        reason=each.reason,
        prune=each.state == ObjectState.LEAVING or each.verdict is VerdictState.EXTRA,
        seen_at=found.seen_at if found else None,
    )


def _sync_word(state: ObjectState, verdict: VerdictState) -> str:
    if state != ObjectState.OWNED:
        return "OutOfSync"
    if verdict in (VerdictState.SYNCED, VerdictState.CLAIM):
        return "Synced"
    # A suspect is left undecided only where Git has something else: that differs, whatever the API server would say.
    return "Unknown" if verdict is VerdictState.UNKNOWN else "OutOfSync"


def manifests(edges: Edges, name: str, revision: str = "") -> tuple[Object, ...]:
    """What Git wants, masked."""
    found = _look_at_git(edges, name, revision)
    return tuple(mask_object(body) for body in found.desired.objects.values())


def live_object(edges: Edges, name: str, key: Key) -> Object | None:
    """One live object, masked; None if it is not there. Raises Permanent if it is not the application's."""
    situation = _situation(edges, name)
    row = situation.owned.get(key)
    if row is None:
        raise Permanent(f"{key}: is no object of application {name}")
    seen = looking.view(edges, situation)
    resource = seen.reader.kinds.find(group_of(row.api_version), key.kind, version_of(row.api_version))
    if resource is None:
        raise seen.reader.unserved(key, row.api_version)
    body = seen.reader.cluster.get(resource, key.namespace, key.name)
    return mask_object(body) if body is not None else None


def _look_at_git(edges: Edges, name: str, revision: str) -> Any:
    situation = _situation(edges, name, revision)
    seen = looking.view(edges, situation)
    return looking.render(edges, situation, seen)


def _look(edges: Edges, name: str, revision: str) -> looking.Look:
    situation = _situation(edges, name, revision)
    if situation.cluster is None:
        raise Permanent(f"Application {name}: its destination is no registered cluster; see driftline cluster list")
    seen = looking.view(edges, situation)
    wish = looking.render(edges, situation, seen)
    return looking.look(edges, situation, seen, wish, ask=True)


def _situation(edges: Edges, name: str, revision: str = "") -> Situation:
    """An application's situation for a look outside any job; `revision` replaces the tracked one."""
    with edges.store.read() as db:
        found = read(db, _no_job(edges), _row(db, name).id, edges)
    if found is None:
        raise Permanent(f"Application {name}: does not exist")
    found = replace(found, sync=None)
    if revision:
        sources = tuple(
            replace(source, target_revision=revision) if position == 0 else source
            for position, source in enumerate(found.app.sources)
        )
        found = replace(found, app=replace(found.app, sources=sources))
    return found


def _no_job(edges: Edges) -> Job:
    """Stands where a job is asked for: a person looks, nothing is leased and nothing will be written."""
    now = edges.now()
    return Job(0, looking.INSPECT, "", "scan", JobState.DONE, 0, 0, now, None, None, 0, None, "", now, now)


def _row(db: Connection, name: str) -> ApplicationRow:
    row = applications.get(db, name)
    if row is None:
        raise Permanent(f"Application {name}: does not exist")
    return row
