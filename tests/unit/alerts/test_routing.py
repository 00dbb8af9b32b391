"""Who hears of what: Argo CD's annotations read as Argo CD reads them, projects, and the installation's defaults."""

import pytest

from driftline.alerts.routing import (
    Routes,
    Scope,
    Subscription,
    parse_recipient,
    read_annotations,
    read_subscriptions,
    recipients,
    selects,
)
from driftline.model.alert import Condition, Recipient

PREFIX = "notifications.argoproj.io/subscribe"
FAILED, DRIFT, SUCCEEDED = Condition.SYNC_FAILED, Condition.DRIFT_FOUND, Condition.SYNC_SUCCEEDED


def slack(address: str) -> Recipient:
    return Recipient("slack", address)


@pytest.mark.covers("NOT-03")
@pytest.mark.covers("ANN-13")
def test_an_annotation_names_trigger_service_and_recipients() -> None:
    scope = Scope(
        {f"{PREFIX}.on-sync-failed.slack": "#deploys; #oncall ;", f"{PREFIX}.on-deployed.email": "a@example.com"}
    )
    assert recipients(FAILED, [scope]) == (slack("#deploys"), slack("#oncall"))
    assert recipients(Condition.DEPLOYED, [scope]) == (Recipient("email", "a@example.com"),)
    assert recipients(DRIFT, [scope]) == ()


@pytest.mark.covers("ANN-13")
def test_without_a_trigger_the_default_triggers_are_meant() -> None:
    scope = Scope({f"{PREFIX}.slack": "#deploys"})
    assert recipients(DRIFT, [scope]) == (slack("#deploys"),)
    assert recipients(SUCCEEDED, [scope]) == ()
    assert recipients(SUCCEEDED, [scope], Routes(default_triggers=frozenset({SUCCEEDED}))) == (slack("#deploys"),)


@pytest.mark.covers("NOT-03")
def test_the_yaml_form_lists_triggers_and_destinations() -> None:
    parsed = [
        {
            "trigger": ["on-sync-failed", "on-drift-found"],
            "destinations": [{"service": "slack", "recipients": ["#a", "#b"]}],
        },
        {"destinations": [{"service": "email", "recipients": ["ops@example.com"]}]},
    ]
    scope = Scope(subscriptions=parsed)
    assert recipients(DRIFT, [scope]) == (slack("#a"), slack("#b"), Recipient("email", "ops@example.com"))
    assert recipients(Condition.HEALTH_DEGRADED, [scope]) == (Recipient("email", "ops@example.com"),)


def test_who_is_named_by_application_project_and_defaults_hears_once() -> None:
    annotation = {f"{PREFIX}.on-sync-failed.slack": "#deploys"}
    routes = Routes((Subscription(slack("#deploys")), Subscription(slack("#all"))))
    assert recipients(FAILED, [Scope(annotation), Scope(annotation)], routes) == (slack("#deploys"), slack("#all"))


def test_subscribers_of_applications_hear_of_the_cluster_that_takes_them_down() -> None:
    scopes = [Scope({f"{PREFIX}.on-sync-failed.slack": f"#team-{number % 2}"}) for number in range(30)]
    assert recipients(Condition.CLUSTER_UNREACHABLE, scopes) == (slack("#team-0"), slack("#team-1"))


@pytest.mark.covers("NOT-03")
def test_global_subscriptions_select_applications_by_label() -> None:
    found, warnings = read_subscriptions(
        [
            {"recipients": ["slack:#prod"], "triggers": ["on-sync-failed"], "selector": "env=prod,tier in (web, api)"},
            {"recipients": ["carrier-pigeon:coop", 7]},
            "nonsense",
        ]
    )
    routes = Routes(found)
    assert recipients(FAILED, [Scope(labels={"env": "prod", "tier": "web"})], routes) == (slack("#prod"),)
    assert recipients(FAILED, [Scope(labels={"env": "dev", "tier": "web"})], routes) == ()
    assert warnings == (
        "subscriptions: 'carrier-pigeon:coop' is no recipient; write channel:address, as slack:#deploys",
        "subscriptions: an entry names no recipients",
    )


def test_names_of_services_can_stand_for_a_channel() -> None:
    scope = Scope({f"{PREFIX}.on-sync-failed.gmail": "a@example.com"})
    assert recipients(FAILED, [scope]) == ()
    assert recipients(FAILED, [scope], Routes(services={"gmail": "email"})) == (Recipient("email", "a@example.com"),)


@pytest.mark.parametrize(
    ("annotations", "parsed", "words"),
    [
        ({f"{PREFIX}.on-sync-failed.pager": "x"}, None, "no service 'pager'"),
        ({f"{PREFIX}.on-full-moon.slack": "#x"}, None, "no trigger on-full-moon"),
        ({f"{PREFIX}.on-sync-failed.slack": " ; "}, None, "names no recipient; give a channel"),
        ({}, {"trigger": "x"}, "want a list"),
        ({}, [7], "needs destinations"),
        ({}, [{"destinations": [7]}], "needs a service"),
    ],
)
def test_what_cannot_work_is_said(annotations: dict[str, str], parsed: object, words: str) -> None:
    found, warnings = read_annotations(annotations, subscriptions=parsed)
    assert found == ()
    assert len(warnings) == 1 and words in warnings[0]


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("", True),
        ("a=1", True),
        ("a==1,b", True),
        ("a!=1", False),
        ("c!=1", True),
        ("!c", True),
        ("!a", False),
        ("a in (1,2)", True),
        ("a notin (1)", False),
        ("c notin (1)", True),
        ("a=2", False),
        ("?!%", False),
    ],
)
def test_label_selectors(selector: str, selected: bool) -> None:
    assert selects(selector, {"a": "1", "b": "2"}) is selected


def test_recipients_in_settings_are_channel_and_address() -> None:
    assert parse_recipient("slack:#deploys") == slack("#deploys")
    assert parse_recipient("webhook:https://h/x") == Recipient("webhook", "https://h/x")
    assert parse_recipient("slack:") is None and parse_recipient("#deploys") is None
