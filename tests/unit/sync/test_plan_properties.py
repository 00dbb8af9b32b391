"""What holds for every plan, whatever Git, the inventory and the cluster hold."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.model.drift import Verdict, VerdictState
from driftline.model.objects import Key
from driftline.model.plan import Op, Phase, Plan
from driftline.sync.given import LiveSeen, Owned, PlanInput, PlanOptions
from driftline.sync.inventory import narrow, widen
from driftline.sync.order import LAST_RANK, provided_kind
from driftline.sync.planning import plan
from driftline.sync.prunes import GUARDED
from tests.kit.planning import SYNC_OPTIONS, obj, wants

KINDS = ["Namespace", "ConfigMap", "Deployment", "StatefulSet", "PersistentVolumeClaim", "Job", "Widget", "ClusterRole"]
DEFINITION = obj("CustomResourceDefinition", "widgets", {"group": "example.com", "names": {"kind": "Widget"}}, wave=1)
OPTIONS = st.sampled_from(["", "Prune=false", "Prune=confirm", "PruneLast=true", "Force=true", "Delete=false"])

BODIES = st.lists(
    st.one_of(
        st.builds(
            lambda kind, name, wave, options: obj(kind, name, wave=wave, options=options),
            st.sampled_from(KINDS),
            st.sampled_from(["a", "b", "shop"]),
            st.integers(-1, 2),
            OPTIONS,
        ),
        st.just(DEFINITION),
    ),
    max_size=8,
)
KEYS = st.builds(
    lambda kind, name: next(iter(wants(obj(kind, name)))),
    st.sampled_from(KINDS),
    st.sampled_from(["a", "b", "shop", "z"]),
)
LIVE = st.builds(
    LiveSeen,
    uid=st.sampled_from(["u1", "u2", "u3", "u4"]),
    resource_version=st.just("1"),
    marked=st.booleans(),
    ours=st.booleans(),
    tracked_by=st.sampled_from(["", "shop", "other"]),
    controlled=st.sampled_from(["", "", "apps/ReplicaSet/x"]),
    annotations=st.builds(lambda value: {SYNC_OPTIONS: value}, OPTIONS),
)
ROWS = st.builds(Owned, uid=st.sampled_from(["", "u1", "u2", "u3"]), desired_digest=st.sampled_from(["", "old"]))
SETTINGS = st.builds(
    PlanOptions,
    application=st.just("shop"),
    prune=st.booleans(),
    deleting=st.booleans(),
    allow_empty=st.booleans(),
    budget_count=st.integers(0, 3),
    force=st.booleans(),
    adopt=st.booleans(),
    approved=st.frozensets(KEYS, max_size=2),
    only=st.none() | st.frozensets(KEYS, max_size=4),
)


@st.composite
def inputs(draw: st.DrawFn) -> PlanInput:
    wanted = wants(*draw(BODIES))
    some = st.sampled_from(sorted(wanted)) | KEYS if wanted else KEYS
    states = draw(st.dictionaries(some, st.sampled_from(VerdictState), max_size=6))
    options = draw(SETTINGS)
    return PlanInput(
        wanted={} if options.deleting else wanted,
        verdicts={key: Verdict(key, state) for key, state in states.items()},
        owned=draw(st.dictionaries(some, ROWS, max_size=8)),
        live=draw(st.dictionaries(some, st.none() | LIVE, max_size=8)),
        others=draw(st.dictionaries(some, st.just("other"), max_size=2)),
        hooks=tuple(
            wants(*(obj("Job", f"h{n}", hook="PreSync,PostSync") for n in range(draw(st.integers(0, 2))))).values()
        ),
        options=options,
    )


MANY = settings(max_examples=100, deadline=None)


def writes(found: Plan) -> list[tuple[Op, Key]]:
    return [(change.op, change.key) for change in found.changes() if change.op is not Op.HOOK]


@MANY
@given(inputs())
def test_every_wanted_object_has_exactly_one_fate(case: PlanInput) -> None:
    found = plan(case)
    if found.refused:
        assert not list(found.changes())
        return
    fates = [key for op, key in writes(found) if op is not Op.PRUNE]
    fates += [held.change.key for held in found.held if held.change.op is not Op.PRUNE]
    fates += [problem.key for problem in found.problems if problem.key in case.wanted]
    assert len(fates) == len(set(fates))
    assert set(fates) <= set(case.wanted)
    assert found.unchanged == len(case.wanted) - len(fates)


@MANY
@given(inputs())
def test_no_object_is_written_twice_and_no_wanted_one_is_deleted(case: PlanInput) -> None:
    found = plan(case)
    keys = [key for _, key in writes(found)]
    assert len(keys) == len(set(keys))
    deletions = [*found.changes(), *(held.change for held in found.held)]
    assert not {change.key for change in deletions if change.op is Op.PRUNE} & set(case.wanted)


@MANY
@given(inputs())
def test_only_what_is_ours_by_uid_and_mark_is_deleted(case: PlanInput) -> None:
    for change in (change for change in plan(case).changes() if change.op is Op.PRUNE):
        live = case.live[change.key]
        assert live is not None
        assert live.marked
        assert not live.controlled
        assert (change.uid, change.resource_version) == (live.uid, live.resource_version)
        assert case.owned[change.key].uid in ("", live.uid)
        assert change.key not in case.others
        assert change.uid not in {case.owned[key].uid for key in case.wanted if key in case.owned}
        assert case.options.prune or case.options.deleting


@MANY
@given(inputs())
def test_the_budget_and_the_guarded_kinds_hold_without_a_person(case: PlanInput) -> None:
    options = case.options
    deleted = [change.key for change in plan(case).changes() if change.op is Op.PRUNE]
    unasked = [key for key in deleted if key not in options.approved]
    if options.deleting:
        assert not [key for key in unasked if key.kind == "Namespace"]
        return
    budget = max(options.budget_count, len(case.owned) * options.budget_percent // 100)
    assert len(unasked) <= budget
    assert not [key for key in unasked if (key.group, key.kind) in GUARDED]


@MANY
@given(inputs())
def test_waves_and_ranks_are_in_order_and_deletions_come_after_what_is_applied(case: PlanInput) -> None:
    found = plan(case)
    phases = [list(Phase).index(wave.phase) for wave in found.waves]
    assert phases == sorted(phases)
    for wave in found.waves:
        assert wave.changes
        assert [(change.rank, change.key) for change in wave.changes] == sorted(
            (change.rank, change.key) for change in wave.changes
        )
        assert all(0 <= change.rank <= LAST_RANK for change in wave.changes)
        deletions = {change.op is Op.PRUNE for change in wave.changes}
        assert len(deletions) == 1
    kinds = [wave.changes[0].op is Op.PRUNE for wave in found.waves if wave.phase in (Phase.PRE_SYNC, Phase.SYNC)]
    assert kinds == sorted(kinds)
    numbers = [wave.number for wave in found.waves if wave.phase is Phase.SYNC and wave.changes[0].op is not Op.PRUNE]
    assert numbers == sorted(numbers)


@MANY
@given(inputs())
def test_a_definition_is_written_before_every_object_of_its_kind(case: PlanInput) -> None:
    place = {
        change.key: n for n, wave in enumerate(plan(case).waves) for change in wave.changes if change.op is not Op.PRUNE
    }
    for key in place:
        kind = provided_kind(key, case.wanted[key].body) if key in case.wanted else None
        for other in place:
            if kind == (other.group, other.kind):
                assert place[key] < place[other]


@MANY
@given(inputs())
def test_a_plan_is_a_function_of_its_input(case: PlanInput) -> None:
    shuffled = replace(
        case,
        wanted=dict(reversed(list(case.wanted.items()))),
        owned=dict(reversed(list(case.owned.items()))),
        verdicts=dict(reversed(list(case.verdicts.items()))),
    )
    assert plan(case) == plan(shuffled)
    assert plan(case).digest == plan(shuffled).digest


@MANY
@given(inputs())
def test_the_inventory_covers_every_object_that_a_plan_makes_and_loses_only_what_is_gone(case: PlanInput) -> None:
    found = plan(case)
    wider = widen(case.owned, found)
    assert set(case.owned) <= set(wider)
    made = {key for op, key in writes(found) if op is not Op.PRUNE}
    assert made <= set(wider)
    pruned = {key for op, key in writes(found) if op is Op.PRUNE}
    assert set(narrow(wider, pruned)) == set(wider) - pruned
