"""Nothing is deleted that nobody asked to delete: each way to lose an object, and what stands in it."""

from typing import Any

import pytest

from driftline.model.drift import VerdictState
from driftline.model.objects import Key
from driftline.model.plan import Op
from driftline.sync.given import LiveSeen, Owned, PlanInput, PlanOptions
from driftline.sync.planning import plan
from driftline.sync.prunes import confirmed_gone
from tests.kit.planning import SYNC_OPTIONS, SYNC_WAVE, given, key, obj, owns, seen, verdict, wants

WEB, OLD = obj("Deployment", "web"), obj("Deployment", "old")
OLD_KEY = key("Deployment", "old")
PRUNE = PlanOptions("shop", prune=True)


def dropping(options: PlanOptions = PRUNE, live: LiveSeen | None = None, **parts: Any) -> PlanInput:
    """Git names web, the inventory web and old."""
    rows = {**owns(WEB), **owns(OLD)}
    found = {OLD_KEY: live or seen("old")}
    return given(wants(WEB), options, **{"owned": rows, "live": found, **parts})


@pytest.mark.covers("SYNC-06")
def test_what_git_drops_is_pruned_last_against_the_object_whose_marks_were_checked() -> None:
    found = plan(dropping(owned=owns(OLD)))
    assert str(found) == "1 create apps/Deployment/shop/web\n2 prune apps/Deployment/shop/old"
    prune = list(found.changes())[-1]
    assert (prune.uid, prune.resource_version) == ("uid-old", "7")


@pytest.mark.covers("SYNC-07", "AUTO-03")
def test_a_deletion_that_was_not_asked_for_is_listed_and_not_done() -> None:
    found = plan(dropping(PlanOptions("shop")))
    assert found.empty
    assert str(found) == "skipped prune apps/Deployment/shop/old: ignored (requires pruning)"


@pytest.mark.covers("OPT-02")
def test_prune_false_keeps_the_object_whether_git_or_live_said_it() -> None:
    live_says = dropping(live=seen("old", annotations={SYNC_OPTIONS: "Prune=false"}))
    row_says = dropping(owned={**owns(WEB), OLD_KEY: Owned("uid-old", "d", options=("Prune=false",))})
    application_says = dropping(PlanOptions(prune=True, sync_options=("Prune=false",)))
    for case in (live_says, row_says, application_says):
        found = plan(case)
        assert found.empty
        assert [left.reason for left in found.skipped] == ["ignored (no prune)"]
    own_wins = {SYNC_OPTIONS: "Prune=true"}
    assert not plan(dropping(application_says.options, seen("old", annotations=own_wins))).empty


@pytest.mark.covers("OPT-02")
def test_prune_confirm_waits_for_a_person() -> None:
    live = seen("old", annotations={SYNC_OPTIONS: "Prune=confirm"})
    found = plan(dropping(live=live))
    assert found.empty
    assert found.held[0].reason == "Prune=confirm asks for a person; app confirm-deletion allows it"
    approved = PlanOptions(prune=True, approved=frozenset({OLD_KEY}))
    assert str(plan(dropping(approved, live))) == "1 prune apps/Deployment/shop/old"


@pytest.mark.covers("GEN-09")
def test_helms_keep_is_honoured() -> None:
    found = plan(dropping(live=seen("old", annotations={"helm.sh/resource-policy": "keep"})))
    assert found.empty
    assert "keep" in found.skipped[0].reason


@pytest.mark.parametrize(
    ("live", "words"),
    [
        (seen("old", marked=False), "no longer carries this application's mark"),
        (seen("other"), "was deleted and created again by others"),
        (seen("old", controlled="apps/ReplicaSet/x"), "is controlled by apps/ReplicaSet/x"),
    ],
)
def test_an_object_that_is_not_ours_any_more_is_left_with_a_warning(live: LiveSeen, words: str) -> None:
    found = plan(dropping(live=live))
    assert found.empty
    assert words in found.warnings[0]


def test_an_object_that_another_application_took_over_is_left_to_it() -> None:
    found = plan(dropping(others={OLD_KEY: "billing"}))
    assert found.empty
    assert "belongs to application billing now" in found.warnings[0]


def test_an_object_that_git_names_by_another_group_is_not_deleted() -> None:
    ingress = obj("Ingress", "web")
    old_group = Key("extensions", "Ingress", "shop", "web")
    rows = {**owns(ingress), old_group: Owned("uid-web", "d")}
    found = plan(given(wants(ingress), PRUNE, owned=rows, live={old_group: seen("web")}))
    assert found.empty
    assert "is the same object as one that Git still names" in found.warnings[0]


def test_nothing_is_deleted_unseen_and_what_is_gone_needs_no_deletion() -> None:
    unread = plan(given(wants(WEB), PRUNE, owned={**owns(WEB), **owns(OLD)}))
    assert unread.empty
    assert "nothing is deleted unseen" in unread.problems[0].message
    gone = given(wants(WEB), PRUNE, owned={**owns(WEB), **owns(OLD)}, live={OLD_KEY: None})
    assert str(plan(gone)) == "nothing to do"
    assert confirmed_gone(gone) == {OLD_KEY}
    assert confirmed_gone(dropping()) == frozenset()


def many(count: int, options: PlanOptions, kept: int = 0) -> PlanInput:
    """`count` ConfigMaps that Git dropped, beside `kept` that it still names."""
    going = [obj("ConfigMap", f"c{n:03}") for n in range(count)]
    staying = [obj("ConfigMap", f"k{n:03}") for n in range(kept)]
    live = {key("ConfigMap", f"c{n:03}"): seen(f"c{n:03}") for n in range(count)}
    return given(wants(WEB, *staying), options, owned=owns(WEB, *going, *staying), live=live)


def test_more_deletions_than_the_budget_all_wait_for_a_person() -> None:
    assert len(list(plan(many(20, PRUNE)).changes())) == 20
    over = plan(many(21, PRUNE))
    assert over.empty
    assert over.held[0].reason == "21 of 22 objects would be deleted, more than the budget of 20"
    lines = str(over).splitlines()
    assert lines[0] == f"held 21 changes: {over.held[0].reason}" and str(over).count("the budget of") == 1
    assert len(lines) == 22 and lines[1] == f"held {over.held[0].change}"
    assert len(over.held) == 21


def test_the_budget_is_the_larger_of_the_count_and_the_share() -> None:
    assert len(list(plan(many(30, PRUNE, kept=69)).changes())) == 30
    assert plan(many(31, PRUNE, kept=69)).empty


def test_a_person_can_allow_what_the_budget_holds() -> None:
    case = many(21, PRUNE)
    approved = frozenset(held.change.key for held in plan(case).held)
    allowed = many(21, PlanOptions(prune=True, approved=approved))
    assert len(list(plan(allowed).changes())) == 21


@pytest.mark.covers("AUTO-04")
def test_an_empty_render_where_there_was_something_is_refused() -> None:
    nothing = given({}, PRUNE, owned=owns(OLD), live={OLD_KEY: seen("old")})
    assert plan(nothing).refused.startswith("Git holds no objects where there were 1")
    assert plan(nothing).empty
    allowed = given({}, PlanOptions(prune=True, allow_empty=True), owned=owns(OLD), live={OLD_KEY: seen("old")})
    assert str(plan(allowed)) == "1 prune apps/Deployment/shop/old"
    lost_inventory = given({}, PlanOptions(prune=True, previous=4))
    assert "where there were 4" in plan(lost_inventory).refused
    assert str(plan(given({}))) == "nothing to do"


@pytest.mark.parametrize("kind", ["Namespace", "CustomResourceDefinition", "PersistentVolumeClaim", "PersistentVolume"])
def test_what_takes_others_with_it_is_pruned_only_by_a_person(kind: str) -> None:
    body = obj(kind, "data")
    case = {"owned": owns(body), "live": {key(kind, "data"): seen("data", holds=3)}}
    held = plan(given(wants(WEB), PRUNE, **case))
    assert held.held[0].reason == f"deleting a {kind} takes what it holds; 3 objects of others die with it"
    approved = PlanOptions(prune=True, approved=frozenset({key(kind, "data")}))
    assert [change.op for change in plan(given(wants(WEB), approved, **case)).changes()] == [Op.CREATE, Op.PRUNE]


def test_nothing_is_deleted_while_its_replacement_cannot_be_applied() -> None:
    case = dropping(verdicts=verdict("Deployment", "web", VerdictState.REFUSED, reason="quota"))
    found = plan(case)
    assert found.empty
    assert found.skipped[0].reason == "not deleted while apps/Deployment/shop/web cannot be applied"
    conflict = dropping(others={key("Deployment", "web"): "billing"})
    assert [change.op for change in plan(conflict).changes()] == [Op.PRUNE]


@pytest.mark.covers("SYNC-06", "OPT-04")
def test_deletions_go_in_reverse_order_and_prune_last_ones_after_all_is_well() -> None:
    bodies = [obj("ConfigMap", "c", wave=1), obj("Deployment", "d", wave=1), obj("Service", "s"), obj("Secret", "z")]
    annotations = {"c": {SYNC_WAVE: "1"}, "d": {SYNC_WAVE: "1"}, "z": {SYNC_OPTIONS: "PruneLast=true"}, "s": {}}
    live = {
        key(body["kind"], body["metadata"]["name"]): seen(
            body["metadata"]["name"], annotations=annotations[body["metadata"]["name"]]
        )
        for body in bodies
    }
    found = plan(given(wants(WEB), PRUNE, owned=owns(*bodies), live=live))
    assert str(found).splitlines() == [
        "1 create apps/Deployment/shop/web",
        "2 prune apps/Deployment/shop/d",
        "2 prune ConfigMap/shop/c",
        "3 prune Service/shop/s",
        "4 prune Secret/shop/z",
    ]
    assert [wave.after_health for wave in found.waves] == [True, False, False, True]


DELETING = PlanOptions("shop", prune=True, deleting=True)


@pytest.mark.covers("DEL-02")
def test_deleting_an_application_is_a_sync_to_nothing_that_keeps_what_is_to_be_kept() -> None:
    bodies = [
        obj("Deployment", "web"),
        obj("ConfigMap", "kept"),
        obj("CustomResourceDefinition", "widgets"),
        obj("PersistentVolumeClaim", "data"),
    ]
    live = {key(body["kind"], body["metadata"]["name"]): seen(body["metadata"]["name"]) for body in bodies}
    live[key("ConfigMap", "kept")] = seen("kept", annotations={SYNC_OPTIONS: "Delete=false"})
    found = plan(given({}, DELETING, owned=owns(*bodies), live=live))
    assert not found.refused
    assert str(found).splitlines() == [
        "1 prune apps/Deployment/shop/web",
        "1 prune PersistentVolumeClaim/shop/data",
        "skipped prune ConfigMap/shop/kept: kept (Delete=false)",
        "skipped prune apiextensions.k8s.io/CustomResourceDefinition/widgets: "
        "kept (a CustomResourceDefinition outlives its application)",
    ]


@pytest.mark.covers("OPT-03")
def test_delete_confirm_and_a_namespace_with_foreign_objects_wait_for_a_person() -> None:
    bodies = [obj("ConfigMap", "c"), obj("Namespace", "shop"), obj("Namespace", "empty"), obj("Namespace", "default")]
    live = {
        key("ConfigMap", "c"): seen("c", annotations={SYNC_OPTIONS: "Delete=confirm"}),
        key("Namespace", "shop"): seen("shop", holds=2),
        key("Namespace", "empty"): seen("empty", holds=0),
        key("Namespace", "default"): seen("default", holds=0),
    }
    found = plan(given({}, DELETING, owned=owns(*bodies), live=live))
    assert [change.key.name for change in found.changes()] == ["empty"]
    assert [held.change.key.name for held in found.held] == ["c", "shop"]
    assert [left.change.key.name for left in found.skipped] == ["default"]


def test_the_budget_does_not_hold_a_deletion_that_a_person_asked_for() -> None:
    case = many(40, DELETING)
    found = plan(
        PlanInput({}, owned=case.owned, live={**case.live, key("Deployment", "web"): seen("web")}, options=DELETING)
    )
    assert len(list(found.changes())) == 41


def test_a_deletion_wants_nothing_even_if_git_was_read() -> None:
    case = given(wants(WEB), DELETING, owned=owns(WEB), live={key("Deployment", "web"): None})
    assert plan(case).empty
    assert confirmed_gone(case) == {key("Deployment", "web")}
