"""Child applications of an app of apps: objects of our own control plane, written to the store and not to a cluster."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from driftline.adapters.store import applications, jobs
from driftline.adapters.store.applications import ApplicationBrief
from driftline.adapters.taskqueue import Hint
from driftline.flow.apply import Written
from driftline.flow.declare import cascades, declare_children, wake_children
from driftline.flow.deletion import begun
from driftline.flow.edges import Edges
from driftline.flow.situation import Situation
from driftline.flow.subjects import app_request, hints
from driftline.formats.application import applications_in, normalised
from driftline.model.digests import digest
from driftline.model.health import Health
from driftline.model.objects import Key, Object, key_of
from driftline.model.plan import Action, Change, Op, Problem
from driftline.model.sync import ObjectResult, ResultStatus
from driftline.sync.given import LiveSeen, Wanted

GROUP, KIND = "argoproj.io", "Application"


def is_child(key: Key) -> bool:
    """Whether a key names something of our own control plane."""
    return key.group == GROUP


def itself(key: Key, name: str) -> bool:
    """Whether a key names the application that renders it: an app of apps may contain its own declaration."""
    return is_child(key) and key.kind == KIND and key.name == name


def wanted_children(declarations: Sequence[Object]) -> tuple[Mapping[Key, Wanted], tuple[Problem, ...]]:
    """The child applications that a render declares, and what is wrong with those that cannot be read."""
    found: dict[Key, Wanted] = {}
    _, problems = applications_in(declarations)
    broken = {problem.key for problem in problems}
    for document in declarations:
        key = key_of(document)
        if key.kind == KIND and key not in broken:
            body = normalised(document)
            found[key] = Wanted(body, digest(body))
    return found, problems


def seen_children(db: Connection, parent_id: int) -> Mapping[str, LiveSeen]:
    """The children that exist, by name, as a plan sees live objects."""
    return {row.name: _seen(row) for row in applications.children(db, parent_id)}


def seen_itself(application_id: int) -> LiveSeen:
    """An application as its own plan sees it: it is there."""
    return LiveSeen(uid=f"application:{application_id}", marked=True, ours=True)


def _seen(row: ApplicationBrief) -> LiveSeen:
    return LiveSeen(uid=f"application:{row.id}", marked=True, ours=True, deleting=row.deleting)


def health_of_children(db: Connection, parent_id: int) -> Mapping[str, Health]:
    """The health of the children, by name."""
    return {row.name: Health(row.health_status, row.health_message) for row in applications.children(db, parent_id)}


def write_children(
    db: Connection, edges: Edges, situation: Situation, changes: Sequence[Change], wanted: Mapping[Key, Wanted]
) -> tuple[list[Written], list[Hint]]:
    """Declare, change and remove children, in a few statements for any number, inside the caller's transaction."""
    declared_now = [change for change in changes if change.op is not Op.PRUNE]
    apps, _ = applications_in([wanted[change.key].body for change in declared_now])
    row = situation.row
    ids: dict[str, int] = {}
    wrong: dict[str, str] = {}
    wake: list[Hint] = []
    # Its own declaration stays with the person who made it; what Git says of it is taken all the same.
    mine = [app for app in apps if app.name == row.name]
    for parent_id, some in ((row.id, [app for app in apps if app.name != row.name]), (row.parent_id, mine)):
        if some:
            declared, failed = declare_children(db, edges, parent_id, some)
            wake += wake_children(db, declared)
            ids.update(declared.ids)
            wrong.update(failed)
    written = [_declared(change, ids, wanted, wrong) for change in declared_now]
    for change in changes:
        if change.op is Op.PRUNE:
            found, more = _remove(db, situation, change, edges.now())
            written.append(found)
            wake += more
    return written, wake


def _declared(
    change: Change, ids: Mapping[str, int], wanted: Mapping[Key, Wanted], wrong: Mapping[str, str]
) -> Written:
    name = change.key.name
    if name not in ids:
        taken = f"{change.key}: an application of this name exists already and is not declared here"
        message = wrong.get(name, taken)
        return Written(change, ObjectResult(change.key, ResultStatus.SYNC_FAILED, message=message))
    action = Action.CREATED if change.op is Op.CREATE else Action.UPDATED
    uid = f"application:{ids[name]}"
    result = ObjectResult(change.key, ResultStatus.SYNCED, action, str(action), uid=uid)
    return Written(change, result, wanted[change.key].body)


def _remove(db: Connection, situation: Situation, change: Change, now: datetime) -> tuple[Written, list[Hint]]:
    row = applications.get(db, change.key.name)
    wake: list[Hint] = []
    if row is not None and row.parent_id == situation.row.id and not row.deleting:
        mode = "cascade" if cascades(row.document) else "forget"
        applications.set_status(db, row.id, **begun(mode, now))
        wake = hints(jobs.request_many(db, [app_request(row.id)]))
    return Written(change, ObjectResult(change.key, ResultStatus.PRUNED, Action.PRUNED, "pruned")), wake
