"""Times, verdicts and keys in words."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from driftline.adapters.store.clusters import ClusterRow
from driftline.model.health import HealthStatus, SyncStatus
from driftline.model.sync import OperationPhase, ResultStatus
from service.ui.freshness import verdict
from service.ui.looks import LOOKS
from service.ui.operations import key_text, plan_shown
from service.ui.policies import policy_of
from service.ui.times import ago, duration

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
AGE = timedelta(minutes=10)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "now"),
        (1, "1 s ago"),
        (59, "59 s ago"),
        (61, "1 min ago"),
        (7300, "2 h ago"),
        (200_000, "2 d ago"),
        (-90, "in 1 min"),
    ],
)
def test_ages(seconds: int, words: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.25, "250 ms"), (9, "9 s"), (200, "3 min 20 s"), (3600, "1 h"), (18_120, "5 h 2 min"), (86400 * 12 + 5, "12 d")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(timedelta(seconds=seconds)) == words


@dataclass(frozen=True)
class App:
    """What of an application its verdict depends on."""

    sync_status: SyncStatus
    checked_at: datetime | None


def _cluster(state: str, bookmark: datetime | None) -> ClusterRow:
    return ClusterRow(1, "c", "s", "u", None, None, state, "", "", None, None, None, None, bookmark, NOW, NOW)


def test_a_verdict_that_nobody_confirmed_for_long_is_unknown() -> None:
    old = App(SyncStatus.SYNCED, NOW - timedelta(minutes=11))
    assert verdict(App(SyncStatus.SYNCED, NOW), None, AGE, NOW).word == "Synced"
    aged = verdict(old, None, AGE, NOW)
    assert (aged.word, aged.last) == ("Unknown", "Synced")
    watched = verdict(old, _cluster("ok", NOW - timedelta(seconds=20)), AGE, NOW)
    assert (watched.word, watched.at) == ("Synced", NOW - timedelta(seconds=20))
    assert verdict(old, _cluster("unreachable", NOW), AGE, NOW).word == "Unknown"
    assert verdict(App(SyncStatus.SYNCED, None), _cluster("ok", NOW), AGE, NOW).word == "Unknown"


def test_every_state_of_the_model_has_a_look_of_its_own_word() -> None:
    states = {*SyncStatus, *HealthStatus, *OperationPhase, *(set(ResultStatus) - {ResultStatus.SYNCED})}
    assert {str(each) for each in states} - set(LOOKS) == set()


def test_words_of_a_policy() -> None:
    assert policy_of({}) == "syncs when asked"
    assert policy_of({"syncPolicy": {"automated": {"enabled": False}}}) == "syncs when asked"
    assert policy_of({"syncPolicy": {"automated": {"prune": True, "selfHeal": True}}}) == (
        "syncs by itself, prunes, repairs drift"
    )


def test_a_key_that_cannot_be_read_is_shown_as_it_is() -> None:
    assert key_text("apps/Deployment/shop/web") == "apps/Deployment/shop/web"
    assert key_text("/Namespace//shop") == "Namespace/shop"
    assert key_text("nonsense") == "nonsense"


def test_what_came_of_an_object_is_said_once_unless_there_is_more_to_say() -> None:
    changes = [{"wave": 1, "phase": "Sync", "op": "update", "key": f"/ConfigMap/shop/{name}"} for name in ("a", "b")]
    said = {"a": "updated", "b": "updated (compared on the client's side)"}
    objects = [
        {"key": f"/ConfigMap/shop/{name}", "status": "Synced", "action": "updated", "message": message}
        for name, message in said.items()
    ]
    [wave] = plan_shown({"changes": changes}, {"objects": objects}).waves
    assert [(step.word, step.message) for step in wave.steps] == [("updated", ""), ("updated", said["b"])]
