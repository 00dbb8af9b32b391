"""When a sync starts by itself, when it does not, and how a repair keeps from becoming a war."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from driftline.model.application import Automated
from driftline.model.drift import FieldDrift
from driftline.model.health import SyncStatus
from driftline.model.sync import OperationPhase
from driftline.sync.automation import (
    AUTOMATED_RETRY,
    Attempt,
    AutoSeen,
    Difference,
    Pin,
    Start,
    Stay,
    after_heal,
    drift_fingerprint,
    heal_due,
    should_sync,
)
from driftline.sync.fights import Fight, Flip, fights
from tests.kit.planning import key

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
WEB, OLD = key("Deployment", "web"), key("Deployment", "old")
REPLICAS = FieldDrift("spec.replicas", 3, 5)
DRIFT = Difference(WEB, fields=(REPLICAS,))
SEEN = AutoSeen(Automated(), SyncStatus.OUT_OF_SYNC, "t1", revision="c1", differences=(DRIFT,), wanted=2)
HEALING = replace(SEEN, automated=Automated(self_heal=True), last=Attempt("t1", OperationPhase.SUCCEEDED))


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.mark.covers("AUTO-01")
def test_a_new_commit_starts_a_sync() -> None:
    assert should_sync(SEEN, NOW) == Start("automated sync to c1", prune=False)
    pruning = replace(SEEN, automated=Automated(prune=True), last=Attempt("t0", OperationPhase.FAILED))
    assert should_sync(pruning, NOW) == Start("automated sync to c1", prune=True)


@pytest.mark.covers("AUTO-01")
@pytest.mark.parametrize(
    "change",
    [
        {"automated": None},
        {"status": SyncStatus.SYNCED},
        {"status": SyncStatus.UNKNOWN},
        {"running": True},
        {"deleting": True},
        {"blocked": "outside of the sync window"},
    ],
)
def test_nothing_starts_when_it_is_off_or_not_the_time(change: dict[str, object]) -> None:
    assert isinstance(should_sync(replace(SEEN, **change), NOW), Stay)  # type: ignore[arg-type]


@pytest.mark.covers("AUTO-02")
def test_a_revision_that_failed_is_not_tried_again_and_says_why() -> None:
    seen = replace(SEEN, last=Attempt("t1", OperationPhase.FAILED, "quota exceeded"))
    found = should_sync(seen, NOW)
    assert isinstance(found, Stay)
    assert found.error == "Failed last sync attempt to c1: quota exceeded"
    assert isinstance(should_sync(replace(seen, target="t2"), NOW), Start)


@pytest.mark.covers("AUTO-02")
def test_a_revision_that_succeeded_is_synced_again_only_by_a_repair() -> None:
    done = replace(SEEN, last=Attempt("t1", OperationPhase.SUCCEEDED))
    assert should_sync(done, NOW) == Stay("this revision was tried already")
    superseded = replace(SEEN, last=Attempt("t1", OperationPhase.SUPERSEDED))
    assert isinstance(should_sync(superseded, NOW), Start)
    held = replace(HEALING, last=Attempt("t1", OperationPhase.HELD))
    assert should_sync(held, NOW) == Stay("the plan waits for a person")


@pytest.mark.covers("AUTO-03")
def test_deletions_alone_start_nothing_unless_pruning_is_on() -> None:
    seen = replace(SEEN, differences=(Difference(OLD, prune=True),))
    assert isinstance(should_sync(seen, NOW), Stay)
    assert isinstance(should_sync(replace(seen, automated=Automated(prune=True)), NOW), Start)


@pytest.mark.covers("AUTO-04")
def test_an_application_is_not_emptied_by_itself() -> None:
    seen = replace(SEEN, automated=Automated(prune=True), differences=(Difference(OLD, prune=True),), wanted=0)
    found = should_sync(seen, NOW)
    assert isinstance(found, Stay)
    assert found.error == "Skipping sync attempt to c1: auto-sync will wipe out all resources"
    allowed = replace(seen, automated=Automated(prune=True, allow_empty=True))
    assert isinstance(should_sync(allowed, NOW), Start)


@pytest.mark.covers("AUTO-06")
def test_an_automated_sync_tries_five_times_unless_told_otherwise() -> None:
    assert AUTOMATED_RETRY.limit == 5


@pytest.mark.covers("AUTO-05")
def test_drift_is_repaired_at_once_and_only_where_it_is() -> None:
    found = should_sync(HEALING, NOW)
    assert found == Start("repair of drift", prune=False, heal=True, only=frozenset({WEB}))


@pytest.mark.covers("AUTO-05")
def test_the_same_drift_that_comes_back_is_repaired_at_growing_distances() -> None:
    entry, now, waits = None, NOW, []
    for _ in range(8):
        due = heal_due(entry, "t1", now)
        waits.append((due - now).total_seconds())
        now = due
        entry = after_heal(entry, "t1", now)
    assert waits == [0, 2, 6, 18, 54, 162, 300, 300]
    found = should_sync(replace(HEALING, heal=entry), now + seconds(1))
    assert isinstance(found, Stay)
    assert found.again_at == now + seconds(300)


def test_the_wait_begins_anew_with_a_new_commit_or_when_the_repair_has_lasted() -> None:
    entry = after_heal(after_heal(None, "t1", NOW), "t1", NOW)
    assert heal_due(entry, "t1", NOW) == NOW + seconds(6)
    assert heal_due(entry, "t2", NOW) == NOW
    later = NOW + seconds(306)
    assert heal_due(entry, "t1", later) == later
    assert after_heal(entry, "t1", later).attempts == 1
    assert after_heal(entry, "t1", later - seconds(1)).attempts == 3


def test_a_repair_goes_on_after_a_failed_sync_and_still_says_that_it_failed() -> None:
    seen = replace(HEALING, last=Attempt("t1", OperationPhase.FAILED, "denied"))
    assert isinstance(should_sync(seen, NOW), Start)
    waiting = should_sync(replace(seen, heal=after_heal(None, "t1", NOW)), NOW)
    assert isinstance(waiting, Stay)
    assert waiting.error == "Failed last sync attempt to c1: denied"
    assert waiting.again_at == NOW + seconds(2)


def test_a_drift_is_named_by_its_fields_not_by_their_values() -> None:
    other_value = Difference(WEB, fields=(FieldDrift("spec.replicas", 3, 9),))
    other_field = Difference(WEB, fields=(FieldDrift("spec.paused", False, True),))
    assert drift_fingerprint([DRIFT]) == drift_fingerprint([other_value])
    assert drift_fingerprint([DRIFT]) != drift_fingerprint([other_field])


def flips(count: int, manager: str, every: float = 60) -> list[Flip]:
    return [Flip(WEB, "spec.replicas", manager, NOW - seconds(every * n)) for n in range(count)]


def test_a_field_that_somebody_keeps_changing_is_left_to_them_by_name() -> None:
    assert fights(flips(2, "kube-controller-manager"), NOW) == ()
    (fight,) = fights(flips(3, "kube-controller-manager"), NOW)
    assert fight == Fight(WEB, "spec.replicas", "kube-controller-manager", 3)
    assert "changed back 3 times by kube-controller-manager" in str(fight)
    found = should_sync(replace(HEALING, fights=(fight,)), NOW)
    assert isinstance(found, Stay)
    assert "kube-controller-manager" in found.reason


def test_slow_changes_and_our_own_are_no_fight() -> None:
    assert fights(flips(3, "kubectl", every=400), NOW) == ()
    assert fights(flips(9, "driftline"), NOW) == ()


def test_the_other_fields_of_an_object_in_a_fight_are_still_repaired() -> None:
    fight = Fight(WEB, "spec.replicas", "hpa", 3)
    both = Difference(WEB, fields=(REPLICAS, FieldDrift("spec.paused", False, True)))
    found = should_sync(replace(HEALING, differences=(both,), fights=(fight,)), NOW)
    assert isinstance(found, Start)
    assert found.leave == {(WEB, "spec.replicas")}


def test_a_rollback_holds_until_git_has_something_newer() -> None:
    pin = Pin("c0", frozenset({"t1"}), by="ada")
    held = should_sync(replace(SEEN, pin=pin), NOW)
    assert held == Stay("rolled back to c0 by ada; held until Git has a newer commit")
    assert isinstance(should_sync(replace(SEEN, pin=pin, target="t2"), NOW), Start)
    manual = replace(pin, manual=True, until=NOW + seconds(60))
    assert isinstance(should_sync(replace(SEEN, pin=manual, target="t2"), NOW), Stay)
    assert isinstance(should_sync(replace(SEEN, pin=manual, target="t2"), NOW + seconds(60)), Start)
