"""What people read: what happened, to which field, by whom, since when, and how it ended; and nothing that injects."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.alerts.state import AlertChange, OpenAlert, transition
from driftline.alerts.templates import WORDS
from driftline.alerts.texts import MOST_LINES, drift_facts, duration, message_for, safe_link
from driftline.model.alert import Condition, Edge, Message, Signal
from driftline.model.drift import ABSENT, Author, FieldDrift, Verdict, VerdictState
from driftline.model.objects import Key

NOW = datetime(2026, 3, 1, 14, 2, 30, tzinfo=UTC)
WEB = Key("apps", "Deployment", "shop", "web")
CANARY = "canary-7f3a9"


def at(hour: int, minute: int, second: int = 0) -> datetime:
    return NOW.replace(hour=hour, minute=minute, second=second)


def told(condition: Condition, edge: Edge, facts: dict[str, Any] | None = None, subject: str = "app:shop") -> Message:
    alert = OpenAlert(condition, subject, "cause", NOW, NOW)
    return message_for(
        AlertChange(alert, edge, facts or {}, lasted=timedelta(minutes=12, seconds=3)), "https://d.example/a"
    )


def drift(*fields: FieldDrift, key: Key = WEB) -> dict[str, Any]:
    return drift_facts("shop", [Verdict(key, VerdictState.DRIFTED, fields)], {key: at(14, 1, 58)}, b"k")


@pytest.mark.covers("NOT-04")
def test_a_drift_alert_names_object_field_values_author_and_time() -> None:
    author = Author("kubectl-edit", "Update", "", at(14, 2))
    text = told(Condition.DRIFT_FOUND, Edge.FIRE, drift(FieldDrift("spec.replicas", 3, 5, author))).text
    assert (
        "apps/Deployment/shop/web: spec.replicas 3 -> 5, by kubectl-edit (Update) at 14:02:00, clean until 14:01:58\n"
        in text
    )
    assert "Since: 2026-03-01 14:02:30 UTC\n" in text


def test_an_author_that_is_not_recorded_and_a_removed_field_are_said_as_such() -> None:
    text = told(Condition.DRIFT_FOUND, Edge.FIRE, drift(FieldDrift("spec.paused", True, ABSENT, kind="removed"))).text
    assert "spec.paused true -> (not set), author not recorded, clean until 14:01:58" in text


def test_a_missing_object_is_one_line() -> None:
    facts = drift_facts("shop", [Verdict(WEB, VerdictState.MISSING)], {})
    assert "apps/Deployment/shop/web: missing\n" in told(Condition.DRIFT_FOUND, Edge.FIRE, facts).text


def test_a_time_of_another_day_has_its_date() -> None:
    author = Author("kubectl-edit", "Update", "", datetime(2026, 2, 27, 9, 5, tzinfo=UTC))
    text = told(Condition.DRIFT_FOUND, Edge.FIRE, drift(FieldDrift("spec.replicas", 3, 5, author))).text
    assert "at 2026-02-27 09:05:00" in text


def test_drift_of_a_secret_shows_that_it_changed_and_nothing_else() -> None:
    key = Key("", "Secret", "shop", "db")
    for edge in Edge:
        message = told(Condition.DRIFT_FOUND, edge, drift(FieldDrift("data.password", CANARY, "other1"), key=key))
        assert CANARY not in str(message) and "other1" not in str(message)
    assert (
        "data.password ++++++++ #"
        in told(Condition.DRIFT_FOUND, Edge.FIRE, drift(FieldDrift("data.password", CANARY, "other1"), key=key)).text
    )


def test_facts_are_scrubbed_whoever_made_them() -> None:
    facts = {"message": f"clone of https://bob:{CANARY}@git.example.com/a failed", "db_password": CANARY}
    message = told(Condition.SYNC_FAILED, Edge.FIRE, facts)
    assert CANARY not in str(message) and "git.example.com" in message.text


def test_a_long_drift_is_cut_and_counted() -> None:
    fields = [FieldDrift(f"spec.f{number}", number, -number) for number in range(1, MOST_LINES + 8)]
    text = told(Condition.DRIFT_FOUND, Edge.FIRE, drift(*fields)).text
    assert text.count(" -> ") == MOST_LINES and "and 7 more fields" in text


@pytest.mark.covers("NOT-09")
@pytest.mark.parametrize("condition", Condition)
@pytest.mark.parametrize("edge", Edge)
def test_every_condition_has_words_for_every_edge_with_and_without_facts(condition: Condition, edge: Edge) -> None:
    assert set(WORDS) == set(Condition)
    facts = {"message": "it broke", "revision": "a" * 40, "how": "sync 17 put it right", "applications": ["a", "b"]}
    for given_facts in ({}, facts):
        message = told(condition, edge, given_facts, "cluster:prod" if "cluster" in condition else "app:shop")
        assert message.title and "\n" not in message.title and message.title in message.text
        assert message.edge is edge
        assert "https://d.example/a" in message.text and 'href="https://d.example/a"' in message.html
    if edge is Edge.RECOVER:
        assert "It lasted 12 min 3 s. How it ended: sync 17 put it right." in message.text
        assert ("Lasted", "12 min 3 s") in message.fields
    if edge is Edge.REMIND:
        assert message.title.startswith("Still: ") and "12 min 3 s so far" in message.text


def test_a_cluster_alert_names_the_applications_it_hits() -> None:
    facts = {"applications": [f"app-{number:02}" for number in range(30)], "message": "connection refused"}
    text = told(Condition.CLUSTER_UNREACHABLE, Edge.FIRE, facts, "cluster:prod").text
    assert text.startswith("cluster prod: unreachable\n")
    assert "Applications: app-00, " in text and "app-09 and 20 more" in text


def test_an_alert_that_flaps_says_that_changes_are_held_back() -> None:
    alert: OpenAlert | None = None
    for number in range(3):
        (change,) = transition(Signal(Condition.DRIFT_FOUND, "app:shop", True), alert, NOW + timedelta(seconds=number))
        if number < 2:
            (over,) = transition(Signal(Condition.DRIFT_FOUND, "app:shop", False), change.alert, NOW)
            alert = over.alert
    assert "held back" in message_for(change).text


HOSTILE = [
    "<!channel> everyone",
    "<http://evil.example|click>",
    "<img src=x onerror=alert(1)>",
    "line\r\nBcc: evil@example.com\r\n\r\nbody",
    "fake\n\nSince: 1970-01-01",
    "{{ ''.__class__.__mro__ }}{% for x in y %}",
    "\u202egnp.exe \u200b\x00\x1b[31m",
    "&lt;b&gt;",
    "x" * 5_000,
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("condition", Condition)
def test_hostile_facts_stay_text(text: str, condition: Condition) -> None:
    facts = {
        **drift(FieldDrift(text, text, text + "2", Author(text, text)), key=Key("", "ConfigMap", text, text)),
        **dict.fromkeys(
            ("message", "revision", "author", "actor", "manager", "how", "job", "plan", "attempts", "cluster"), text
        ),
        "results": [text],
        "applications": [text],
    }
    message = told(condition, Edge.FIRE, facts, f"app:{text}")
    assert "\n" not in message.title and "\r" not in message.title and len(message.title) < 800
    assert "<img" not in message.html and "<!channel" not in message.html and "<http" not in message.html
    assert not any(mark in message.text for mark in ("\r", "\x00", "\x1b", "\u202e", "\u200b"))
    assert "<class" not in message.text and len(message.text) < 30_000
    assert "\nSince: 1970" not in message.text and "\nBcc" not in message.text


@given(
    st.dictionaries(
        st.sampled_from(["message", "objects", "results", "applications", "revision", "attempts", "plan"]),
        st.recursive(
            st.none() | st.integers() | st.text() | st.booleans(),
            lambda x: st.lists(x) | st.dictionaries(st.text(), x),
            max_leaves=6,
        ),
    ),
    st.sampled_from(list(Condition)),
    st.sampled_from(list(Edge)),
)
def test_facts_of_any_shape_make_a_message(facts: dict[str, Any], condition: Condition, edge: Edge) -> None:
    assert told(condition, edge, facts).title


@pytest.mark.parametrize(
    "link",
    [
        *(
            "javascript:alert(1)",
            "JaVaScRiPt:x",
            "data:text/html,x",
            "vbscript:x",
            "//evil",
            "https://u:p@h/",
            "http://[",
        ),
        *("https://", "https://h/<x>", "https://h/\u202ex", "https://h/a b", "https://h/|x", "\thttps://h\n/"),
    ],
)
def test_only_plain_web_addresses_become_links(link: str) -> None:
    assert safe_link(link) == ""
    assert safe_link("https://driftline.example/applications/shop?tab=diff#x") != ""


def test_durations_in_words() -> None:
    spans = {0: "0 s", 59: "59 s", 60: "1 min", 723: "12 min 3 s", 7500: "2 h 5 min", 90000: "1 d 1 h", -5: "0 s"}
    assert {seconds: duration(timedelta(seconds=seconds)) for seconds in spans} == spans


def test_a_message_begins_with_no_spaces_unless_it_could_pass_for_a_line_of_ours() -> None:
    text = told(Condition.SYNC_FAILED, Edge.FIRE, {"message": "it broke\nSince: 1970"}).text
    assert "\n\nit broke\n  Since: 1970\n" in text
    for posing in ("Since: 1970", "https://evil.example", "Started by: ana"):
        assert f"\n{posing}" not in told(Condition.SYNC_FAILED, Edge.FIRE, {"message": posing}).text


def test_a_held_plan_is_told_with_the_commands_that_allow_or_stop_it() -> None:
    facts = {"message": "waiting for it", "plan": "held prune ConfigMap/a/b: why"}
    text = told(Condition.PLAN_HELD, Edge.FIRE, facts).text
    assert "waiting for it\nPlan:\n  held prune ConfigMap/a/b: why\n" in text
    assert "driftline app approve shop, or stop it with driftline app terminate-op shop\n" in text
    text = told(Condition.PLAN_HELD, Edge.FIRE, {**facts, "confirm": True}).text
    assert "driftline app confirm-deletion shop, or stop it" in text and "app approve" not in text
    text = told(Condition.PLAN_HELD, Edge.FIRE, {**facts, "deleting": True}).text
    assert "confirm it: driftline app confirm-deletion shop\n" in text and "terminate-op" not in text


def test_drift_that_is_repaired_by_itself_asks_nobody_to_sync() -> None:
    assert "or sync to undo it" in told(Condition.DRIFT_FOUND, Edge.FIRE).text
    text = told(Condition.DRIFT_FOUND, Edge.FIRE, {"heals": True}).text
    assert "Self-heal undoes it" in text and "or sync" not in text


@pytest.mark.parametrize("condition", [Condition.SYNC_FAILED, Condition.HEALTH_DEGRADED, Condition.DRIFT_FOUND])
def test_an_alert_that_ends_with_its_application_says_so_and_not_that_all_is_well(condition: Condition) -> None:
    message = told(condition, Edge.RECOVER, {"how": "the application was deleted", "gone": True})
    assert message.title == "shop: the application was deleted" and "works again" not in message.text
