"""Carry out one sync: plan, write wave by wave, wait without sleeping, end. Decisions come from `sync.steps`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from driftline.adapters.sealing import context as sealed_for
from driftline.adapters.store import jobs, objects, syncs
from driftline.adapters.store.live import LiveRow, Sighting
from driftline.adapters.store.objects import Claim
from driftline.adapters.store.syncs import Step, SyncRow
from driftline.adapters.taskqueue import Hint
from driftline.drift.fields import FieldSet, owned_by
from driftline.drift.judge import judge
from driftline.flow import desire, ending, standing
from driftline.flow.apply import EXISTS, Writer, Written
from driftline.flow.children import health_of_children, is_child, seen_children, write_children
from driftline.flow.edges import Edges
from driftline.flow.hooking import Hooks
from driftline.flow.looking import Look, comparer_for
from driftline.flow.memory import Memory
from driftline.flow.planmaking import Ask, make_plan
from driftline.flow.plans import dump_plan, dump_results, load_plan, load_results, plan_view
from driftline.flow.scan import watched
from driftline.flow.situation import OWN, Situation
from driftline.health.table import health_of
from driftline.model.cluster import ClusterUnreachable, Refusal
from driftline.model.drift import FieldDrift, Verdict, VerdictState
from driftline.model.errors import Failure, Permanent
from driftline.model.health import Health
from driftline.model.marks import MANAGER
from driftline.model.objects import Key, Object
from driftline.model.plan import Change, Op, Phase, Plan, Wave
from driftline.model.sync import ObjectResult, OperationPhase, ResultStatus
from driftline.sync import automation
from driftline.sync.automation import Attempt, Start
from driftline.sync.given import PlanInput
from driftline.sync.hooks import HookSeen, HookState, expand
from driftline.sync.intents import ApplyWave, Fail, Finish, Hold, Retry, Supersede, Terminate, Wait
from driftline.sync.inventory import claims
from driftline.sync.planning import is_managed_namespace, managed_namespace
from driftline.sync.steps import SyncPolicy, SyncSeen, next_step
from driftline.sync.steps import standing as standing_objects

SAVE_EVERY = 500
"""Writes after which results are saved, so that a big sync shows its progress."""

JUST_DELETED = "deletion was requested just now"

GOING = timedelta(minutes=5)
"""How long an object may take to go before it is made again."""

SOON = timedelta(seconds=1)
"""When to come back for something that is over in a moment: an old hook being deleted."""


def start(edges: Edges, found: Look, choice: Start, memory: Memory) -> None:
    """Begin an automated sync: make its plan, store it with what it may touch, and take it as far as it goes."""
    only = choice.only
    if only is not None:
        # An object with a field that somebody else keeps changing is left to them as a whole until Git changes.
        only -= {key for key, _ in choice.leave}
    ask = Ask(prune=choice.prune, automated=True, only=only, started_at=edges.now())
    kind = "self-heal" if choice.heal else "git"
    if choice.heal:
        fingerprint = automation.drift_fingerprint(found.differences)
        entry = automation.after_heal(memory.heal_of(fingerprint), found.target, edges.now())
        memory = memory.with_heal(fingerprint, entry)
    run = Run(edges, found, ask, kind, memory)
    if run.plan_attempt():
        run.carry_on()


def go_on(edges: Edges, found: Look, sync: SyncRow) -> None:
    """Take an open sync further: one that a person asked for is planned first."""
    request = sync.request or {}
    approved = (sync.approved or {}).get("keys", ())
    ask = replace(
        Ask.from_json(request),
        automated=sync.automated,
        approved=frozenset(Key.parse(each) for each in approved),
        started_at=sync.planned_at or edges.now(),
    )
    run = Run(edges, found, ask, sync.kind, Memory.of(found.situation.row), sync)
    if sync.plan is not None:
        run.resume(sync)
    elif not run.plan_attempt():
        return
    run.carry_on()


def fail_unplanned(edges: Edges, situation: Situation, sync: SyncRow, message: str) -> None:
    """End a sync that could not even be planned."""
    ending.fail_without_look(edges, situation, sync, message)


@dataclass
class Run:
    """One worker's turn at one sync. Everything that lasts is in the database; this is gone when the turn is over."""

    edges: Edges
    found: Look
    ask: Ask
    kind: str
    memory: Memory
    sync: SyncRow | None = None
    plan: Plan = field(default_factory=Plan)
    given: PlanInput | None = None
    results: dict[Key, ObjectResult] = field(default_factory=dict)
    hooks: dict[tuple[Phase, Key], HookSeen] = field(default_factory=dict)
    health: dict[Key, Health | None] = field(default_factory=dict)
    present: dict[Key, str] = field(default_factory=dict)
    unsaved: list[Written] = field(default_factory=list)
    gone: set[Key] = field(default_factory=set)
    away: dict[Key, ClusterUnreachable] = field(default_factory=dict)
    """Writes that got no answer in this turn."""
    released: set[Key] = field(default_factory=set)
    seen_live: dict[str, LiveRow | Sighting] = field(default_factory=dict)
    """What this turn's writes showed, by key id; where a watch has seen something newer, that."""
    wake: list[Hint] = field(default_factory=list)
    attempt_at: datetime | None = None
    retries: int = 0
    retry_at: datetime | None = None
    terminate: bool = False
    sync_id: int = 0
    render_id: int | None = None
    since_check: int = 0
    renewed_at: datetime | None = None
    exists: frozenset[Key] = frozenset()
    going: str = ""
    """What has to go before the wave at hand can be written, in words."""
    immutable: dict[Key, str] = field(default_factory=dict)
    """Objects whose write was refused because a field of them cannot change, and the API server's words."""
    failure: str = ""
    """Why the attempt fails, while its SyncFail hooks tidy up."""

    def __post_init__(self) -> None:
        self.renewed_at = self.edges.now()
        if self.sync is not None:
            self.sync_id, self.retries = self.sync.id, self.sync.retry_count
            self.terminate, self.render_id = self.sync.terminate, self.sync.render_id

    @property
    def situation(self) -> Situation:
        return self.found.situation

    # -- planning ------------------------------------------------------------------------------------------------

    def plan_attempt(self) -> bool:
        """Make the plan of a new attempt and store it with the wider inventory, before anything is written.

        False: there was nothing to run, and everything is recorded already. Raises ClusterUnreachable, with nothing
        changed, if the comparison met a cluster that does not answer: that is its trouble and no failed sync.
        """
        if self.found.compared.away is not None:
            raise self.found.compared.away
        now = self.edges.now()
        self.ask = replace(self.ask, started_at=now, exists=self.exists)
        try:
            self.plan, self.given = make_plan(self.edges, self.found, self.ask)
        except Failure as failure:
            ending.cannot_plan(self, failure)
            return False
        self.attempt_at, self.retry_at = now, None
        self.results, self.hooks, self.health, self.present, self.failure = {}, {}, {}, {}, ""
        for held in self.plan.skipped:
            skipped = ObjectResult(held.change.key, ResultStatus.PRUNE_SKIPPED, message=held.reason, at=now)
            self.results[held.change.key] = skipped
        try:
            with self.edges.store.write() as db:
                conflicts = self._store_plan(db)
        except _Rival:
            # Another sync was started between our look and now: this look is over, the other one goes on.
            with self.edges.store.write() as db:
                jobs.finish(db, self.situation.job, run_at=now + SOON)
            return False
        if conflicts:
            # Some of it belongs to another application: plan again, with that known.
            self.ask = replace(self.ask, check_owners=True)
            return self.plan_attempt()
        return True

    def _store_plan(self, db: Connection) -> bool:
        situation = self.situation
        render_id = self.render_id = desire.keep(db, self.edges, self.found.wish)
        if self.sync_id == 0:
            made = syncs.create(
                db,
                situation.row.id,
                self.kind,
                revisions=list(self.found.wish.revisions),
                request={**self.ask.to_json(), "target": self.found.target},
                initiated_by="automated sync policy",
                automated=True,
                render_id=render_id,
            )
            if made is None:
                raise _Rival
            self.sync_id = made
        changes = [change for change in self.plan.changes() if claims(change)]
        waves = {change.key: wave.number for wave in self.plan.waves for change in wave.changes}
        wished = [Claim(each.key, self.api_version(each.key), waves[each.key]) for each in changes]
        here = [claim for claim in wished if not is_child(claim.key) and not self.ask.dry_run]
        own = [claim for claim in wished if is_child(claim.key) and not self.ask.dry_run]
        claimed = objects.claim_many(db, self.found.view.uid, situation.row.id, here)
        owned = objects.claim_many(db, OWN, situation.row.id, own)
        syncs.save_step(db, situation.job, self.sync_id, **self._plan_values(render_id))
        self.wake += standing.record(db, self.edges, self.found, self.memory, render_id=render_id)
        return bool(claimed.conflicts or owned.conflicts)

    def _plan_values(self, render_id: int) -> Step:
        secret = self.edges.settings.signing_key.encode()
        sealed = self.edges.sealer.seal(dump_plan(self.plan), sealed_for("sync", "plan", self.sync_id))
        return {
            "phase": OperationPhase.RUNNING,
            "stage": "applying",
            "revisions": list(self.found.wish.revisions),
            "plan": sealed,
            "plan_view": plan_view(self.plan, secret),
            "plan_digest": self.plan.digest,
            "render_id": render_id,
            "planned_at": self.attempt_at,
            "retry_count": self.retries,
            "retry_at": None,
            "results": dump_results(self.results, self.hooks),
            "message": "",
        }

    def resume(self, sync: SyncRow) -> None:
        """Take up a stored plan and what has come of it."""
        assert sync.plan is not None
        where = sealed_for("sync", "plan", sync.id)
        self.plan = load_plan(self.edges.sealer.open(sync.plan, where))
        self.results, self.hooks = load_results(sync.results)
        self.failure = (sync.results or {}).get("failure", "")
        self.attempt_at, self.retry_at = sync.planned_at or sync.started_at, sync.retry_at
        self.exists = self._met()

    def _met(self) -> frozenset[Key]:
        """What creates of this attempt found there."""
        return frozenset(key for key, each in self.results.items() if each.retryable and EXISTS in each.message)

    # -- stepping ------------------------------------------------------------------------------------------------

    def carry_on(self) -> None:
        """Step until the sync has to wait or has ended, and save where it stands.

        Raises ClusterUnreachable, with all that was written recorded: the sync goes on when the cluster answers.
        """
        try:
            self._step()
        except ClusterUnreachable:
            self.save_progress()
            raise
        except Permanent as failure:
            # A refusal about something that is no object of the plan: trying again would be refused again.
            ending.finish(self, OperationPhase.ERROR, failure.message)

    def _step(self) -> None:
        self._refresh()
        while True:
            intent = next_step(self.seen(), self.edges.now())
            if isinstance(intent, ApplyWave):
                self.failure = intent.failure or self.failure
                if not self._apply(intent.index):
                    self.save_waiting(Wait(self.edges.now() + SOON, self.going or "waiting for an older hook to go"))
                    return
                if len(self.unsaved) >= SAVE_EVERY:
                    self.save_progress()
            elif isinstance(intent, Wait) and self._just_deleted():
                # Most objects are gone at once: one look now saves a wait.
                self._refresh()
            elif isinstance(intent, Wait):
                self.save_waiting(self._sooner(intent))
                return
            elif isinstance(intent, Retry):
                self.retries = intent.attempt
                if not self.plan_attempt():
                    return
            elif isinstance(intent, Hold) and not self.ask.approved <= self.plan.allowed:
                # A person has allowed what this plan holds: make the one that does it.
                self.save_progress()
                if not self.plan_attempt():
                    return
            elif isinstance(intent, Fail) and self._at_once(intent):
                self.retries += 1
                self.save_progress()
                if not self.plan_attempt():
                    return
            else:
                self._end(intent)
                return

    def _just_deleted(self) -> bool:
        fresh = {key for key, why in self.present.items() if why == JUST_DELETED}
        return bool(fresh)

    def _sooner(self, intent: Wait) -> Wait:
        """Deletions are over in a moment, and no watch tells of the last of them: look more often than for rollouts."""
        if not self.present:
            return intent
        return Wait(min(intent.until, self.edges.now() + SOON), intent.reason)

    def _at_once(self, intent: Fail) -> bool:
        """Whether to plan again without a wait.

        Objects that a create found there are read and taken over. That a field cannot change is found out by the write
        where Git has changed it; the plan then replaces the object, where that is allowed, or says so.
        """
        met = self._met() - self.exists
        self.exists |= met
        judged = self.found.compared.verdicts
        fixed = {key: why for key, why in self.immutable.items() if not _says_immutable(judged.get(key))}
        self.found = _with_immutable(self.found, fixed)
        return bool(met or fixed)

    def _end(self, intent: Finish | Fail | Hold | Supersede | Terminate) -> None:
        if isinstance(intent, Fail) and self._only_away():
            self._wait_for_cluster()
        elif isinstance(intent, Fail) and intent.retry_at is not None:
            ending.wait_for_retry(self, intent, intent.retry_at)
        elif isinstance(intent, Finish):
            ending.finish(self, OperationPhase.SUCCEEDED, intent.message)
        elif isinstance(intent, Hold):
            ending.hold(self, intent.reason)
        elif isinstance(intent, Supersede):
            ending.finish(self, OperationPhase.SUPERSEDED, f"superseded by {intent.by}")
        elif isinstance(intent, Terminate):
            self.hook_keeper().stop(intent.hooks)
            ending.finish(self, OperationPhase.FAILED, intent.message)
        else:
            ending.finish(self, OperationPhase.FAILED, intent.message)

    def _only_away(self) -> bool:
        """Whether nothing is wrong but that the cluster does not answer."""
        bad = {key for key, result in self.results.items() if result.status is ResultStatus.SYNC_FAILED}
        return bool(self.away) and bad <= self.away.keys() and not (self.plan.problems or self.hooks or self.failure)

    def _wait_for_cluster(self) -> None:
        """Keep what was done and raise ClusterUnreachable: the rest is written when the cluster answers again."""
        away = next(iter(self.away.values()))
        for key in self.away:
            del self.results[key]
        self.save_progress()
        raise away

    def seen(self) -> SyncSeen:
        """What the pure machine decides from."""
        settings, app = self.edges.settings, self.situation.app
        automated = automation.AUTOMATED_RETRY if self.ask.automated else None
        policy = SyncPolicy(wave_timeout=settings.wave_timeout, check_every=settings.health_interval)
        rule = app.retry or automated
        newer = self._newer()
        return SyncSeen(
            plan=self.plan,
            started_at=self.attempt_at or self.edges.now(),
            results=self.results,
            hooks=self.hooks,
            health=self.health,
            present=self.present,
            standing=standing_objects(self.found.wanted, self.plan) if len(self.plan.waves) > 1 else {},
            newer=newer,
            terminate=self.terminate,
            retries=self.retries,
            retry_at=self.retry_at,
            failure=self.failure,
            policy=replace(policy, retry=rule) if rule else policy,
        )

    def _newer(self) -> str:
        """The newest revision that Git wants, if this sync follows Git and carries another one."""
        request = (self.sync.request if self.sync else None) or {}
        if self.kind not in ("git", "self-heal", "manual") or request.get("revisions") or self.ask.dry_run:
            return ""
        if self.kind == "manual" and (self.situation.app.automated is None or self.situation.row.paused):
            # Nobody would sync the newer one: what a person asked for is carried out.
            return ""
        try:
            newest = desire.resolve(self.situation.app, self.situation.repositories)
        except Failure:
            return ""
        mine = tuple(self.found.wish.revisions)
        known = tuple(self.situation.row.revisions or ())
        return newest[0][:12] if newest and newest not in (mine, known) else ""

    def _refresh(self) -> None:
        """Read what is waited for: hooks, deletions, and the health of what was applied."""
        if self.hooks:
            self.hooks = self.hook_keeper().follow(self.hooks)
        pruned = [key for key, result in self.results.items() if result.status is ResultStatus.PRUNED]
        if pruned and not self.ask.dry_run:
            self._look_for_deleted(pruned)
        if len(self.plan.waves) > 1:
            self._read_health()

    def _look_for_deleted(self, pruned: Sequence[Key]) -> None:
        children = [key for key in pruned if is_child(key)]
        owned = [key for key in pruned if key in self.situation.owned and not is_child(key)]
        reads = self.found.view.reader.read_owned(owned)
        for failure in reads.failed.values():
            raise failure
        there = {key: body for key, body in reads.found.items() if body is not None}
        uids = {key: self.results[key].uid for key in pruned}
        self.present = {
            key: _holders(body) for key, body in there.items() if uids[key] in ("", body["metadata"]["uid"])
        }
        if children:
            with self.edges.store.read() as db:
                left = seen_children(db, self.situation.row.id)
            self.present |= {key: "its own objects are being deleted" for key in children if key.name in left}
        self.gone = {key for key in pruned if key not in self.present}

    def _read_health(self) -> None:
        applied = [key for key, result in self.results.items() if result.status is ResultStatus.SYNCED]
        waited = {*applied, *standing_objects(self.found.wanted, self.plan)}
        rows = self.situation.live
        for key in waited:
            row = rows.get(key.id)
            if row is not None and not row.gone:
                self.health[key] = Health(row.health_status, row.health_message)
        children = [key for key in waited if is_child(key)]
        if children:
            with self.edges.store.read() as db:
                found = health_of_children(db, self.situation.row.id)
            self.health.update({key: found.get(key.name) for key in children})
        assert self.situation.cluster is not None
        unwell = [key for key in waited if not is_child(key) and not _well(self.health.get(key))]
        if watched(self.situation.cluster, self.edges):
            # The watch follows what we own. A namespace made on request is nobody's, and has no row.
            unwell = [key for key in unwell if key not in self.found.wanted]
        wanted = self.found.wanted
        versions = {key: str(wanted[key].body["apiVersion"]) if key in wanted else "v1" for key in unwell}
        reads = self.found.view.reader.read(versions)
        for key, body in reads.found.items():
            if body is not None:
                self.health[key] = health_of(body)

    # -- writing -------------------------------------------------------------------------------------------------

    def _apply(self, index: int) -> bool:
        """Write what of a wave has no result yet. False: something has to go first, come back soon."""
        wave = self.plan.waves[index]
        self.going = ""
        left = [change for change in wave.changes if change.op is Op.HOOK or change.key not in self.results]
        plain = [change for change in left if change.op is not Op.HOOK and not is_child(change.key)]
        children = [change for change in left if is_child(change.key)]
        for written in self._writer().wave(plain, self._go_on):
            self._take(written)
        if children and not self.terminate:
            self._apply_children(children)
        hooks = [change for change in left if change.op is Op.HOOK and (wave.phase, change.key) not in self.hooks]
        made = self._make_hooks(wave, hooks) if hooks and not self.terminate else True
        return made and not self.going

    def _take(self, written: Written) -> None:
        now = self.edges.now()
        if written.going and now < (self.attempt_at or now) + GOING:
            self.going = written.result.message
            return
        written = replace(written, result=replace(written.result, at=now))
        self.results[written.change.key] = written.result
        if written.away is not None:
            self.away[written.change.key] = written.away
        if written.refusal is Refusal.IMMUTABLE and written.change.op is not Op.PRUNE:
            self.immutable[written.change.key] = written.result.message
        self.unsaved.append(written)
        self.since_check += 1
        if written.body is not None and written.result.status is ResultStatus.SYNCED:
            self.health[written.change.key] = health_of(written.body)
        if written.result.status is ResultStatus.PRUNED and not self.ask.dry_run:
            self.present[written.change.key] = JUST_DELETED
            self.results[written.change.key] = replace(written.result, uid=written.change.uid, at=now)

    def _apply_children(self, changes: Sequence[Change]) -> None:
        if self.ask.dry_run:
            for change in changes:
                self.results[change.key] = ObjectResult(change.key, ResultStatus.SYNCED, message="would be declared")
            return
        with self.edges.store.write() as db:
            jobs.guard(db, self.situation.job)
            written, wake = write_children(db, self.edges, self.situation, changes, self.found.wanted)
        self.wake += wake
        for each in written:
            self._take(each)

    def _make_hooks(self, wave: Wave, changes: Sequence[Change]) -> bool:
        if self.ask.dry_run:
            for change in changes:
                self.hooks[wave.phase, change.key] = HookSeen(HookState.SUCCEEDED, "would run", self.edges.now())
            return True
        keeper = self.hook_keeper()
        complete = True
        for change in changes:
            made = keeper.make(change, wave.phase, self.edges.now())
            if made is None:
                complete = False
            elif isinstance(made, ObjectResult):
                self.results[change.key] = made
            else:
                self.hooks[wave.phase, change.key] = made
        return complete

    def hook_keeper(self) -> Hooks:
        """The hooks of this attempt."""
        revision = self.found.wish.revisions[0] if self.found.wish.revisions else ""
        hooks = self.given.hooks if self.given else _hooks_of(self.found)
        known = expand(hooks, revision, self.attempt_at, self.ask.deleting)
        mark = f"{self.sync_id}/{self.retries}"
        return Hooks(
            self.found.view.reader, mark, {(each.phase, each.key): each for each in known}, self.situation.row.name
        )

    def _writer(self) -> Writer:
        bodies: dict[Key, Object] = {key: each.body for key, each in self.found.wanted.items()}
        managers: dict[Key, str] = {}
        for change in self.plan.changes():
            if is_managed_namespace(change) and self.given is not None:
                bodies[change.key] = managed_namespace(self.given.options).body
                managers[change.key] = f"{MANAGER}-namespace"
            elif is_managed_namespace(change):
                bodies[change.key] = _namespace_body(self.situation)
                managers[change.key] = f"{MANAGER}-namespace"
        reader = self.found.view.reader
        keys = [change.key for change in self.plan.changes() if not is_child(change.key)]
        if not all(reader.kinds.knows(key.group_kind) for key in keys):
            # A CRD of this very sync may have brought the kind, applied by another process.
            reader = reader.renewed()
        options = self.ask.sync_options if self.ask.sync_options is not None else self.situation.app.sync_options
        return Writer(
            reader.cluster,
            reader.kinds,
            bodies,
            frozenset(self.edges.settings.adopt_managers.split(",")),
            self.edges.pool,
            _propagation(options),
            self.ask.dry_run,
            lambda body: self.edges.schemas.type_of(reader.cluster, str(body["apiVersion"]), str(body["kind"])),
            self._left_behind,
            managers,
        )

    def _left_behind(self, key: Key, answer: Object) -> Sequence[FieldDrift]:
        """Fields that Git dropped and that an apply did not take away, because another manager holds them too."""
        before, row = self.found.compared.bodies.get(key), self.situation.owned.get(key)
        if before is None or row is None or row.applied_fields is None or key not in self.found.wanted:
            return ()
        held = owned_by(answer)
        if held is not None and not FieldSet.parse(row.applied_fields).difference(held[0]):
            # Nothing that we once applied was dropped: the usual change of a value.
            return ()
        desired = self.found.wanted[key].body
        context = comparer_for(self.edges, self.situation, self.found.view).context(desired, row)
        return judge(desired, before, answer, context).leftovers

    def _go_on(self) -> bool:
        """Before each batch: is the job still ours, did someone say terminate, is a newer commit there?"""
        if self.since_check < 16:
            return not self.terminate
        self.since_check = 0
        now = self.edges.now()
        if self.renewed_at is None or now - self.renewed_at > self.edges.settings.job_lease / 3:
            with self.edges.store.write() as db:
                jobs.renew(db, self.situation.job, self.edges.settings.job_lease)
            self.renewed_at = now
        with self.edges.store.read() as db:
            found = syncs.interrupts(db, self.situation.job, self.sync_id)
        if found.lease_lost:
            raise jobs.lost(self.situation.job)
        self.terminate = self.terminate or found.terminate
        return not self.terminate

    # -- saving --------------------------------------------------------------------------------------------------

    def save_progress(self) -> None:
        """Save what was written so far."""
        with self.edges.store.write() as db:
            self.save(db, {})
        self.send()

    def save_waiting(self, intent: Wait) -> None:
        """Save where the sync stands and that it waits; whoever sees a change asks for the next look."""
        with self.edges.store.write() as db:
            self.save(db, {"stage": "waiting", "waiting": {"reason": intent.reason}, "message": intent.reason})
            jobs.finish(db, self.situation.job, run_at=intent.until)
        self.send()

    def save(self, db: Connection, values: Step) -> None:
        """Record results, the inventory and what was seen of the written objects, under the job's fence."""
        ending.record_written(db, self)
        results = {**dump_results(self.results, self.hooks), "failure": self.failure}
        step: Step = {"results": results, **values}
        syncs.save_step(db, self.situation.job, self.sync_id, **step)

    def send(self) -> None:
        """Wake whom the saved changes concern."""
        self.edges.hint(self.wake)
        self.wake = []

    def api_version(self, key: Key) -> str:
        """The apiVersion that Git names for an object."""
        return str(self.found.wanted[key].body["apiVersion"])

    def attempt(self, phase: OperationPhase, message: str) -> Attempt:
        """How this operation is remembered."""
        return Attempt(self.found.target, phase, message)


class _Rival(Exception):
    """Another sync of the application is open."""


def _holders(body: Object) -> str:
    finalizers = body["metadata"].get("finalizers") or ()
    return f"held by {', '.join(finalizers)}" if finalizers else "being deleted"


def _says_immutable(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.state in (VerdictState.RECREATE, VerdictState.RECREATED)


def _with_immutable(found: Look, reasons: Mapping[Key, str]) -> Look:
    """The look with what refused writes have taught about some objects."""
    verdicts = dict(found.compared.verdicts)
    for key, reason in reasons.items():
        # Not an immutable field: the name belongs to another object now, and replacing it would delete a stranger.
        other = "metadata.uid" in reason
        known = verdicts.get(key, Verdict(key, VerdictState.RECREATE))
        verdicts[key] = replace(known, state=VerdictState.RECREATED if other else VerdictState.RECREATE, reason=reason)
    return replace(found, compared=replace(found.compared, verdicts=verdicts))


def _well(health: Health | None) -> bool:
    return health is not None and health.status.badness <= 1


def _hooks_of(found: Look) -> tuple[Any, ...]:
    from driftline.sync.given import Wanted

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
