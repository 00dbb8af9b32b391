"""One alert when trouble begins, one when it is over, whatever arrives how often."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.alerts.state import AlertChange, AlertPolicy, OpenAlert, due, slot, suppressed_by, to_root, transition
from driftline.model.alert import Condition, Edge, Signal

START = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
CALM = AlertPolicy()


class Memory:
    """The alert rows of a store, and what was told."""

    def __init__(self, policy: AlertPolicy = CALM) -> None:
        self.policy, self.rows, self.now = policy, dict[str, OpenAlert](), START
        self.changes: list[AlertChange] = []

    def hears(self, signal: Signal, after: float = 0) -> list[Edge]:
        self.now += timedelta(seconds=after)
        told = to_root(signal)
        return self._save(transition(told, self.rows.get(slot(told)), self.now, self.policy))

    def waits(self, seconds: float) -> list[Edge]:
        self.now += timedelta(seconds=seconds)
        return [edge for row in list(self.rows.values()) for edge in self._save(due(row, self.now, self.policy))]

    def _save(self, changes: Iterable[AlertChange]) -> list[Edge]:
        heard = []
        for change in changes:
            self.rows[change.alert.slot] = change.alert
            self.changes.append(change)
            if change.told and change.edge:
                heard.append(change.edge)
        return heard


def drifted(active: bool = True, cause: str = "replicas", app: str = "shop") -> Signal:
    return Signal(Condition.DRIFT_FOUND, f"app:{app}", active, cause)


@pytest.mark.covers("NOT-02")
def test_drift_is_told_once_and_its_end_once() -> None:
    memory = Memory()
    assert memory.hears(drifted()) == [Edge.FIRE]
    assert [memory.hears(drifted(), after=30) for _ in range(20)] == [[]] * 20
    assert memory.hears(drifted(active=False), after=30) == [Edge.RECOVER]
    assert memory.changes[-1].lasted == timedelta(seconds=630)
    assert memory.hears(drifted(active=False)) == []


@pytest.mark.covers("NOT-09")
def test_a_success_is_told_once_per_revision_however_often_it_is_seen() -> None:
    memory = Memory()
    succeeded = [Signal(Condition.SYNC_SUCCEEDED, "app:shop", True, revision, once=True) for revision in "abaab"]
    assert [memory.hears(signal) for signal in succeeded] == [[Edge.ONCE], [Edge.ONCE], [], [], []]


def test_another_cause_is_told_and_the_old_one_ends_unheard() -> None:
    memory = Memory()
    memory.hears(drifted(cause="replicas"))
    assert memory.hears(drifted(cause="replicas+image"), after=60) == [Edge.FIRE]
    assert [(change.edge, change.alert.cause, change.told) for change in memory.changes] == [
        (Edge.FIRE, "replicas", True),
        (Edge.RECOVER, "replicas", False),
        (Edge.FIRE, "replicas+image", True),
    ]


def test_thirty_applications_of_an_unreachable_cluster_are_one_alert_and_one_recovery() -> None:
    memory = Memory()
    heard = [
        memory.hears(Signal(Condition.SYNC_FAILED, f"app:{number}", True, "rev", root="cluster:prod"))
        for number in range(30)
    ]
    assert [edges for edges in heard if edges] == [[Edge.FIRE]]
    assert memory.changes[0].alert.subject == "cluster:prod"
    assert memory.changes[0].alert.condition is Condition.CLUSTER_UNREACHABLE
    assert memory.hears(Signal(Condition.CLUSTER_UNREACHABLE, "cluster:prod", False), after=600) == [Edge.RECOVER]
    assert len(memory.changes[-1].facts["applications"]) == 30


def test_an_unreachable_repository_stands_for_its_applications() -> None:
    url = "https://git.example.com/shop.git"
    memory = Memory()
    memory.hears(Signal(Condition.REPOSITORY_UNREACHABLE, f"repository:{url}", True))
    failed = Signal(Condition.SYNC_FAILED, "app:shop", True, root=f"repository:{url}")
    assert suppressed_by(failed, memory.rows.values()) == memory.rows[f"on-repository-unreachable|repository:{url}"]
    assert suppressed_by(drifted(), memory.rows.values()) is None
    memory.hears(Signal(Condition.REPOSITORY_UNREACHABLE, f"repository:{url}", False))
    assert suppressed_by(failed, memory.rows.values()) is None


def test_trouble_of_its_own_is_told_while_the_cluster_is_away() -> None:
    memory = Memory()
    memory.hears(Signal(Condition.CLUSTER_UNREACHABLE, "cluster:prod", True))
    assert memory.hears(Signal(Condition.SYNC_FAILED, "app:shop", True, "bad yaml")) == [Edge.FIRE]


def test_an_application_that_is_well_again_says_nothing_about_its_cluster() -> None:
    well = Signal(Condition.SYNC_FAILED, "app:shop", False, root="cluster:prod")
    memory = Memory()
    assert memory.hears(well) == []
    memory.hears(Signal(Condition.CLUSTER_UNREACHABLE, "cluster:prod", True))
    assert memory.hears(well) == []
    assert memory.rows["on-cluster-unreachable|cluster:prod"].open


def test_a_flapping_condition_is_told_three_times_then_once_when_it_has_settled() -> None:
    memory = Memory()
    for _ in range(60):
        memory.hears(drifted(), after=10)
        memory.hears(drifted(active=False), after=10)
    heard = Counter(change.edge for change in memory.changes if change.told)
    assert (heard[Edge.FIRE], heard[Edge.RECOVER]) == (3, 2)
    assert [change.flapping for change in memory.changes if change.edge is Edge.FIRE] == [False, False, True]
    assert memory.waits(100) == []
    assert memory.waits(300) == [Edge.RECOVER]


def test_a_cause_that_changes_all_the_time_is_held_back_and_told_when_it_rests() -> None:
    memory = Memory()
    for number in range(30):
        memory.hears(drifted(cause=f"field {number}"), after=5)
    assert sum(change.edge is Edge.FIRE for change in memory.changes) == 3
    assert memory.waits(60) == []
    assert memory.waits(600) == [Edge.FIRE]
    assert memory.changes[-1].alert.cause == "field 29"


def test_reminders_come_only_if_asked_for() -> None:
    quiet, talkative = Memory(), Memory(AlertPolicy(remind_every=timedelta(days=1)))
    for memory in (quiet, talkative):
        memory.hears(drifted())
    assert quiet.waits(3 * 86400) == []
    assert [talkative.waits(43200) for _ in range(4)] == [[], [Edge.REMIND], [], [Edge.REMIND]]


def test_clocks_that_disagree_give_no_negative_duration() -> None:
    memory = Memory()
    memory.hears(drifted())
    memory.hears(drifted(active=False), after=-30)
    assert memory.changes[-1].lasted == timedelta()


events = st.lists(
    st.one_of(
        st.builds(
            Signal,
            st.sampled_from([Condition.DRIFT_FOUND, Condition.SYNC_FAILED, Condition.HEALTH_DEGRADED]),
            st.sampled_from(["app:a", "app:b"]),
            st.booleans(),
            st.sampled_from(["x", "y", ""]),
            root=st.sampled_from(["", "", "cluster:prod"]),
        ),
        st.builds(Signal, st.just(Condition.CLUSTER_UNREACHABLE), st.just("cluster:prod"), st.booleans()),
        st.builds(
            Signal,
            st.just(Condition.SYNC_SUCCEEDED),
            st.just("app:a"),
            st.booleans(),
            st.sampled_from("pq"),
            once=st.just(True),
        ),
        st.integers(1, 2000),
    ),
    max_size=60,
)
policies = st.sampled_from([CALM, AlertPolicy(remind_every=timedelta(minutes=10)), AlertPolicy(flap_limit=1)])


@given(events, policies)
def test_whatever_happens_beginnings_and_ends_alternate_and_one_alert_is_open(
    happened: list[Signal | int], policy: AlertPolicy
) -> None:
    memory = Memory(policy)
    for event in happened:
        if isinstance(event, int):
            memory.waits(event)
            continue
        memory.hears(event, after=1)
        before = len(memory.changes)
        memory.hears(event)
        assert len(memory.changes) == before, "a signal that arrives twice changes nothing"
    edges: dict[tuple[str, str, str], list[Edge]] = defaultdict(list)
    open_now: Counter[tuple[str, str]] = Counter()
    once: Counter[str] = Counter()
    for change in memory.changes:
        alert = change.alert
        if change.edge in (Edge.FIRE, Edge.RECOVER):
            edges[alert.condition, alert.subject, alert.cause].append(change.edge)
            open_now[alert.condition, alert.subject] += 1 if change.edge is Edge.FIRE else -1
            assert open_now[alert.condition, alert.subject] in (0, 1)
        if change.edge is Edge.ONCE:
            once[alert.slot] += 1
    for told in edges.values():
        assert told == [Edge.FIRE, Edge.RECOVER] * (len(told) // 2) + [Edge.FIRE] * (len(told) % 2)
    assert set(once.values()) <= {1}


@given(events)
def test_no_two_messages_share_a_slot_episode_and_edge(happened: list[Signal | int]) -> None:
    memory = Memory()
    for event in happened:
        memory.waits(event) if isinstance(event, int) else memory.hears(event, after=1)
    keys = Counter((c.alert.slot, c.alert.episode, c.edge) for c in memory.changes if c.told and c.edge)
    assert set(keys.values()) <= {1}


def test_what_ended_a_flapping_alert_is_forgotten_when_it_begins_again() -> None:
    policy, name = AlertPolicy(flap_limit=1), "app:shop"
    begun, over = Signal(Condition.SYNC_FAILED, name, True), Signal(Condition.SYNC_FAILED, name, False)
    [fired] = transition(begun, None, START, policy)
    [quiet] = transition(replace(over, facts={"gone": True, "how": "deleted"}), fired.alert, START, policy)
    assert quiet.alert.facts["gone"] is True
    [again] = transition(begun, quiet.alert, START, policy)
    assert not {"gone", "how"} & set(again.alert.facts)


def test_why_something_began_is_not_told_as_how_it_ended() -> None:
    begun = Signal(
        Condition.SYNC_FAILED, "app:shop", True, facts={"how": "objects failed", "message": "objects failed"}
    )
    [fired] = transition(begun, None, START, CALM)
    [ended] = transition(Signal(Condition.SYNC_FAILED, "app:shop", False), fired.alert, START, CALM)
    assert "how" not in ended.facts and ended.facts["message"] == "objects failed"
