"""Make a plan: everything a sync would write, wave by wave, from values alone. Called by driftline.flow."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from driftline.model.digests import digest
from driftline.model.drift import VerdictState
from driftline.model.objects import Key, Object
from driftline.model.plan import Change, Held, Op, Phase, Plan, Problem, Wave
from driftline.sync import order
from driftline.sync.cautions import cautions
from driftline.sync.given import PlanInput, PlanOptions, Wanted
from driftline.sync.hooks import expand
from driftline.sync.options import setting
from driftline.sync.order import Placed, Slot
from driftline.sync.prunes import Prune, Prunes, mirrored, prunes, stopped
from driftline.sync.wanted import Conflict, decide

CREATE_NAMESPACE = "CreateNamespace=true"
"""The reason of the change that makes a destination namespace; such a namespace is nobody's property."""


def plan(given: PlanInput) -> Plan:
    """What a sync would do. Equal inputs give equal plans; raises nothing.

    With `options.deleting` nothing is wanted, whatever `given.wanted` holds.
    """
    if given.options.deleting:
        given = replace(given, wanted={})
    if refusal := _refusal(given):
        return Plan(refused=refusal, allowed=given.options.approved)
    decided = {key: decide(key, given) for key in sorted(_selected(given))}
    changes = tuple(found for found in decided.values() if isinstance(found, Change))
    held = tuple(found for found in decided.values() if isinstance(found, Held))
    problems = tuple(found for found in decided.values() if isinstance(found, Problem))
    if refusal := _shared(problems, given.options):
        return Plan(problems=_plain(problems), refused=refusal, allowed=given.options.approved)
    going = _going(given, problems)
    return Plan(
        waves=_waves(given, changes, going.run),
        held=held + going.held,
        problems=_plain(problems + going.problems),
        warnings=cautions(given, changes) + going.warnings,
        unchanged=len(given.wanted) - len(changes) - len(held) - len(problems),
        allowed=given.options.approved,
        skipped=going.skipped,
    )


def _plain(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(Problem(found.key, found.message) for found in problems)


def _selected(given: PlanInput) -> frozenset[Key]:
    wanted = frozenset(given.wanted)
    return wanted if given.options.only is None else wanted & given.options.only


def _refusal(given: PlanInput) -> str:
    """An empty render where there was something is an accident until the application says otherwise."""
    options = given.options
    before = max(len(given.owned), options.previous)
    if given.wanted or not before or options.deleting or options.allow_empty:
        return ""
    return f"Git holds no objects where there were {before}; set allowEmpty if that is meant"


def _shared(problems: Iterable[Problem], options: PlanOptions) -> str:
    conflicts = [problem for problem in problems if isinstance(problem, Conflict)]
    if not conflicts or setting("FailOnSharedResource", options.sync_options, {}) != "true":
        return ""
    return "; ".join(f"{problem.key} {problem.message}" for problem in conflicts)


def _going(given: PlanInput, problems: tuple[Problem, ...]) -> Prunes:
    found = prunes(given)
    # What replaces an object may be the one that cannot be applied; deleting the old one then takes both away.
    broken = [problem for problem in problems if not isinstance(problem, Conflict)]
    if broken and not given.options.deleting:
        return stopped(found, f"not deleted while {broken[0].key} cannot be applied")
    return found


def _waves(given: PlanInput, changes: tuple[Change, ...], going: tuple[Prune, ...]) -> tuple[Wave, ...]:
    placed = [Placed(change, order.sync_slot(body), body) for change in changes for body in (_body(given, change.key),)]
    placed += _namespace(given)
    placed += _hooks(given)
    applied = list(_applied(order.pull_foundations(placed)))
    waves = (
        *(wave for wave in applied if wave.phase in (Phase.PRE_SYNC, Phase.SYNC)),
        *_deleted(going, max((wave.number for wave in applied if wave.phase is Phase.SYNC), default=0)),
        *(wave for wave in applied if wave.phase is Phase.POST_SYNC),
    )
    # Hooks that only tidy up after a failure are no reason for a sync.
    return (*waves, *(wave for wave in applied if wave.phase is Phase.SYNC_FAIL)) if waves else ()


def _body(given: PlanInput, key: Key) -> Object:
    return given.wanted[key].body


def _applied(placed: Iterable[Placed]) -> Iterator[Wave]:
    """Waves in the order in which they run; inside a slot, what others of it need is a wave of its own."""
    slots: dict[tuple[Slot, bool], list[Change]] = {}
    for item in placed:
        slots.setdefault((item.slot, not item.first), []).append(item.change)
    for slot, later in sorted(slots):
        changes = sorted(slots[slot, later], key=lambda change: (change.rank, change.key))
        yield Wave(slot.phase, slot.wave, tuple(changes))


def _deleted(going: tuple[Prune, ...], highest: int) -> Iterator[Wave]:
    """Deletions after everything that is applied, latest wave first; PruneLast ones at the end, once all is well."""
    for number, group in mirrored(going).items():
        yield Wave(Phase.SYNC, number, _sorted(group), after_health=False)
    if last := [prune for prune in going if prune.last]:
        yield Wave(Phase.SYNC, highest + 1, _sorted(last))


def _sorted(group: Iterable[Prune]) -> tuple[Change, ...]:
    return tuple(sorted((prune.change for prune in group), key=lambda change: (change.rank, change.key)))


def _hooks(given: PlanInput) -> list[Placed]:
    options = given.options
    if options.skip_hooks or options.only is not None:
        return []
    return [
        Placed(
            Change(Op.HOOK, hook.key, desired_digest=hook.digest, rank=order.rank(hook.key.kind)),
            Slot.at(hook.phase, hook.wave),
            hook.body,
        )
        for hook in expand(given.hooks, options.revision, options.started_at, options.deleting)
        if hook.phase is Phase.SYNC_FAIL or not options.hooks_ran
    ]


def managed_namespace(options: PlanOptions) -> Wanted:
    """The namespace that CreateNamespace makes: applied by the manager `driftline-namespace`, without marks."""
    metadata: Object = {"name": options.destination_namespace}
    if options.namespace_labels:
        metadata["labels"] = dict(options.namespace_labels)
    if options.namespace_annotations:
        metadata["annotations"] = dict(options.namespace_annotations)
    body: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    return Wanted(body, digest(body))


def is_managed_namespace(change: Change) -> bool:
    """Whether a change makes or labels a destination namespace on request: never claimed, never pruned."""
    return (change.key.group, change.key.kind) == ("", "Namespace") and change.reason == CREATE_NAMESPACE


def _namespace(given: PlanInput) -> list[Placed]:
    options = given.options
    name = options.destination_namespace
    key = Key("", "Namespace", "", name)
    asked = name and setting("CreateNamespace", options.sync_options, {}) == "true"
    if not asked or options.deleting or key in given.wanted:
        return []
    op = _namespace_op(given, key)
    if op is None:
        return []
    wanted = managed_namespace(options)
    live = given.live.get(key)
    change = Change(op, key, wanted.digest, live.uid if live and op is Op.UPDATE else "", reason=CREATE_NAMESPACE)
    return [Placed(change, Slot.at(Phase.PRE_SYNC, 0), wanted.body, first=True)]


def _namespace_op(given: PlanInput, key: Key) -> Op | None:
    """Create it where a GET or an object's verdict says that it is missing; set its metadata where that differs."""
    verdict = given.verdicts.get(key)
    missing = any(
        found.state is VerdictState.NAMESPACE_MISSING and other.namespace == key.name
        for other, found in given.verdicts.items()
    )
    if (key in given.live and given.live[key] is None) or (verdict and verdict.state is VerdictState.MISSING):
        return Op.CREATE
    if missing and given.live.get(key) is None:
        return Op.CREATE
    options = given.options
    metadata = bool(options.namespace_labels or options.namespace_annotations)
    differs = verdict is not None and verdict.state in (VerdictState.DRIFTED, VerdictState.CLAIM, VerdictState.SUSPECT)
    return Op.UPDATE if metadata and differs else None
