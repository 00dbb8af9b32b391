"""The record of drift: an interval per field and value, kept while nothing changes."""

from datetime import UTC, datetime, timedelta

import pytest

from driftline.adapters.store import drifts
from driftline.adapters.store.declarations import Declaration, declare
from driftline.adapters.store.drifts import FieldFound, Flips, Recorded
from driftline.adapters.store.engine import Store

CLUSTER = "uid"
WEB, DB = "apps/Deployment/shop/web", "apps/StatefulSet/shop/db"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
REPLICAS = FieldFound("spec.replicas", "changed", "2", "5", "kubectl-edit", "Update", NOW)
IMAGE = FieldFound("spec.image", "changed", "web:1", "web:2", "kubectl-edit", "Update", NOW)


@pytest.fixture
def shop(store: Store) -> int:
    """The id of an application."""
    return store.transact(lambda db: declare(db, Declaration("shop", {}))).ids["shop"]


def record(store: Store, app: int, minute: int, **found: list[FieldFound]) -> Recorded:
    at = NOW + timedelta(minutes=minute)
    keyed = {{"web": WEB, "db": DB}[name]: fields for name, fields in found.items()}
    clean = {WEB: NOW - timedelta(minutes=1)}
    return store.transact(lambda db: drifts.record(db, app, CLUSTER, keyed, at, clean))


def test_the_same_drift_keeps_its_interval(store: Store, shop: int) -> None:
    assert record(store, shop, 0, web=[REPLICAS, IMAGE]) == Recorded(opened=2)
    assert record(store, shop, 5, web=[REPLICAS, IMAGE]) == Recorded(kept=2)
    with store.read() as db:
        rows = drifts.open_of(db, shop)
        assert [(row.path, row.found_at, row.last_clean_at) for row in rows] == [
            ("spec.image", NOW, NOW - timedelta(minutes=1)),
            ("spec.replicas", NOW, NOW - timedelta(minutes=1)),
        ]
        assert (rows[1].manager, rows[1].manager_at) == ("kubectl-edit", NOW)
        assert drifts.open_counts(db) == {shop: 2}


def test_another_value_is_another_interval_and_a_field_in_line_ends_its_own(store: Store, shop: int) -> None:
    record(store, shop, 0, web=[REPLICAS, IMAGE], db=[REPLICAS])
    other = FieldFound("spec.replicas", "changed", "2", "9", "hpa", "Update", NOW)
    assert record(store, shop, 3, web=[other]) == Recorded(opened=1, ended=2)
    with store.read() as db:
        assert [(row.key_id, row.live) for row in drifts.open_of(db, shop)] == [(WEB, "9"), (DB, "5")]
        ended = {row.path: row.end_reason for row in drifts.page(db, shop, WEB) if row.ended_at}
    assert ended == {"spec.replicas": drifts.CHANGED, "spec.image": drifts.REVERTED}


def test_an_object_in_line_and_a_healed_application_have_no_open_drift(store: Store, shop: int) -> None:
    record(store, shop, 0, web=[REPLICAS], db=[REPLICAS])
    assert record(store, shop, 1, web=[]) == Recorded(ended=1)
    assert store.transact(lambda db: drifts.close(db, shop, None, "healed by sync 7", NOW)) == 1
    with store.read() as db:
        assert drifts.open_of(db, shop) == []
        assert [row.end_reason for row in drifts.page(db, shop, DB)] == ["healed by sync 7"]
        newest = drifts.page(db, limit=1)[0]
        assert [row.id < newest.id for row in drifts.page(db, before=newest.id)] == [True]
        assert drifts.page(db, only_open=True) == []


def test_a_fight_over_a_field_is_counted_by_manager(store: Store, shop: int) -> None:
    for turn in range(4):
        record(store, shop, turn, web=[REPLICAS])
        store.transact(lambda db: drifts.close(db, shop, [WEB], "healed", NOW))
    other = FieldFound("spec.replicas", "changed", "2", "7", "hpa")
    record(store, shop, 9, web=[other])
    with store.read() as db:
        assert drifts.flips(db, shop, WEB, "spec.replicas", NOW) == [Flips("kubectl-edit", 4), Flips("hpa", 1)]
        recent = NOW + timedelta(minutes=3)
        assert drifts.flips(db, shop, WEB, "spec.replicas", recent) == [Flips("hpa", 1), Flips("kubectl-edit", 1)]
        assert drifts.flips(db, shop, WEB, "spec.image", NOW) == []
