"""Write one wave of a sync: objects, child applications and hooks. Called by `stepping`."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from driftline.adapters.store import jobs, syncs
from driftline.drift.clientside import put_before
from driftline.drift.fields import FieldSet, owned_by
from driftline.drift.judge import judge
from driftline.flow.apply import Writer, Written
from driftline.flow.children import is_child, write_children
from driftline.flow.hooking import Hooks
from driftline.flow.looking import Look, comparer_for
from driftline.flow.run import JUST_DELETED, Run
from driftline.flow.situation import Situation
from driftline.health.table import health_of
from driftline.model.cluster import Refusal
from driftline.model.drift import FieldDrift
from driftline.model.marks import MANAGER
from driftline.model.objects import Key, Object
from driftline.model.plan import Change, Op, Wave
from driftline.model.sync import ObjectResult, ResultStatus
from driftline.sync.given import Wanted
from driftline.sync.hooks import HookSeen, HookState, expand
from driftline.sync.planning import is_managed_namespace, managed_namespace

GOING = timedelta(minutes=5)
"""How long an object may take to go before it is made again."""


def write_wave(run: Run, index: int) -> bool:
    """Write what of a wave has no result yet. False: something has to go first, come back soon."""
    wave = run.plan.waves[index]
    run.going = ""
    left = [change for change in wave.changes if change.op is Op.HOOK or change.key not in run.results]
    plain = [change for change in left if change.op is not Op.HOOK and not is_child(change.key)]
    children = [change for change in left if is_child(change.key)]
    for written in _writer(run).wave(plain, lambda: _may_go_on(run)):
        _take(run, written)
    if children and not run.terminate:
        _write_children(run, children)
    hooks = [change for change in left if change.op is Op.HOOK and (wave.phase, change.key) not in run.hooks]
    made = _make_hooks(run, wave, hooks) if hooks and not run.terminate else True
    return made and not run.going


def _take(run: Run, written: Written) -> None:
    now = run.edges.now()
    if written.going and now < (run.attempt_at or now) + GOING:
        run.going = written.result.message
        return
    written = replace(written, result=replace(written.result, at=now))
    run.results[written.change.key] = written.result
    if written.away is not None:
        run.away[written.change.key] = written.away
    if written.refusal is Refusal.IMMUTABLE and written.change.op is not Op.PRUNE:
        run.immutable[written.change.key] = written.result.message
    run.unsaved.append(written)
    run.since_check += 1
    if written.body is not None and written.result.status is ResultStatus.SYNCED:
        run.health[written.change.key] = health_of(written.body)
    if written.result.status is ResultStatus.PRUNED and not run.ask.dry_run:
        run.present[written.change.key] = JUST_DELETED
        run.results[written.change.key] = replace(written.result, uid=written.change.uid, at=now)


def _write_children(run: Run, changes: Sequence[Change]) -> None:
    if run.ask.dry_run:
        for change in changes:
            run.results[change.key] = ObjectResult(change.key, ResultStatus.SYNCED, message="would be declared")
        return
    with run.edges.store.write() as db:
        written, wake = write_children(db, run.edges, run.situation, changes, run.found.wanted)
        jobs.guard(db, run.situation.job)
    run.wake += wake
    for each in written:
        _take(run, each)


def _make_hooks(run: Run, wave: Wave, changes: Sequence[Change]) -> bool:
    if run.ask.dry_run:
        for change in changes:
            run.hooks[wave.phase, change.key] = HookSeen(HookState.SUCCEEDED, "would run", run.edges.now())
        return True
    keeper = hook_keeper(run)
    complete = True
    for change in changes:
        made = keeper.make(change, wave.phase, run.edges.now())
        if made is None:
            complete = False
        elif isinstance(made, ObjectResult):
            run.results[change.key] = made
        else:
            run.hooks[wave.phase, change.key] = made
    return complete


def hook_keeper(run: Run) -> Hooks:
    """The hooks of this attempt."""
    revision = run.found.wish.revisions[0] if run.found.wish.revisions else ""
    hooks = run.given.hooks if run.given else _hooks_of(run.found)
    known = expand(hooks, revision, run.attempt_at, run.ask.deleting)
    mark = f"{run.sync_id}/{run.retries}"
    places = {(each.phase, each.key): each for each in known}
    marks = run.situation.marks
    return Hooks(run.found.view.reader, mark, places, marks.application, marks.installation)


def _writer(run: Run) -> Writer:
    bodies: dict[Key, Object] = {key: each.body for key, each in run.found.wanted.items()}
    managers: dict[Key, str] = {}
    for change in run.plan.changes():
        if is_managed_namespace(change) and run.given is not None:
            bodies[change.key] = managed_namespace(run.given.options).body
            managers[change.key] = f"{MANAGER}-namespace"
        elif is_managed_namespace(change):
            bodies[change.key] = _namespace_body(run.situation)
            managers[change.key] = f"{MANAGER}-namespace"
    reader = run.found.view.reader
    keys = [change.key for change in run.plan.changes() if not is_child(change.key)]
    if not all(reader.kinds.knows(key.group_kind) for key in keys):
        # A CRD of this very sync may have brought the kind, applied by another process.
        reader = reader.renewed()
    options = run.ask.sync_options if run.ask.sync_options is not None else run.situation.app.sync_options
    return Writer(
        reader.cluster,
        reader.kinds,
        bodies,
        frozenset(run.edges.settings.adopt_managers.replace(",", " ").split()),
        run.edges.pool,
        _propagation(options),
        run.ask.dry_run,
        lambda body: run.edges.schemas.type_of(reader.cluster, str(body["apiVersion"]), str(body["kind"])),
        lambda key, answer: _left_behind(run, key, answer),
        lambda key: _applied_last(run, key),
        lambda key: put_before(run.found.compared.bodies.get(key)),
        managers,
    )


def _applied_last(run: Run, key: Key) -> FieldSet:
    row = run.situation.owned.get(key)
    return FieldSet.parse(row.applied_fields) if row is not None and row.applied_fields is not None else FieldSet()


def _left_behind(run: Run, key: Key, answer: Object) -> Sequence[FieldDrift]:
    """Fields that Git dropped and that an apply did not take away, because another manager holds them too."""
    before, row = run.found.compared.bodies.get(key), run.situation.owned.get(key)
    if before is None or row is None or row.applied_fields is None or key not in run.found.wanted:
        return ()
    held = owned_by(answer)
    if held is not None and not FieldSet.parse(row.applied_fields).difference(held[0]):
        # Nothing that we once applied was dropped: the usual change of a value.
        return ()
    desired = run.found.wanted[key].body
    context = comparer_for(run.edges, run.situation, run.found.view).context(desired, row)
    return judge(desired, before, answer, context).leftovers


def _may_go_on(run: Run) -> bool:
    """Before each batch: is the job still ours, did someone say terminate, is a newer commit there?"""
    if run.since_check < 16:
        return not run.terminate
    run.since_check = 0
    now = run.edges.now()
    if run.renewed_at is None or now - run.renewed_at > run.edges.settings.job_lease / 3:
        with run.edges.store.write() as db:
            jobs.renew(db, run.situation.job, run.edges.settings.job_lease)
        run.renewed_at = now
    with run.edges.store.read() as db:
        found = syncs.interrupts(db, run.situation.job, run.sync_id)
    if found.lease_lost:
        raise jobs.lost(run.situation.job)
    run.terminate = run.terminate or found.terminate
    return not run.terminate


def _hooks_of(found: Look) -> tuple[Wanted, ...]:
    return tuple(Wanted(body, "") for body in found.wish.desired.hooks)


def _namespace_body(situation: Situation) -> Object:
    app = situation.app
    metadata: Object = {"name": app.destination.namespace}
    if app.managed_namespace_labels:
        metadata["labels"] = dict(app.managed_namespace_labels)
    if app.managed_namespace_annotations:
        metadata["annotations"] = dict(app.managed_namespace_annotations)
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _propagation(options: Sequence[str]) -> str:
    for option in options:
        name, _, value = option.partition("=")
        if name == "PrunePropagationPolicy":
            return value
    return "foreground"
