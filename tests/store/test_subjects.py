"""What a look is about comes in one statement: the application, its cluster, its open sync."""

from dataclasses import replace

from driftline.adapters.store import applications, clusters, subjects, syncs
from driftline.adapters.store.declarations import Declaration, declare
from driftline.adapters.store.engine import Store
from driftline.model.sync import OperationPhase
from tests.kit.databases import count_statements

SHOP = Declaration(name="shop", document={"spec": {}}, namespace="shop")


def test_an_application_alone_has_neither_cluster_nor_sync(store: Store) -> None:
    number = store.transact(lambda db: declare(db, SHOP)).ids["shop"]
    with store.read() as db:
        found = subjects.by_id(db, number)
        assert found is not None and found.row == applications.by_id(db, number)
        assert (found.cluster, found.sync) == (None, None)
        assert subjects.by_id(db, number + 1) is None


def test_the_cluster_and_the_open_sync_come_with_it(store: Store) -> None:
    there = store.transact(lambda db: clusters.save(db, "prod", "https://prod.example.org", b"sealed"))
    number = store.transact(lambda db: declare(db, replace(SHOP, cluster_id=there.id))).ids["shop"]
    ended = store.transact(lambda db: syncs.create(db, number, "git"))
    assert ended is not None
    with store.write() as db:
        db.exec_driver_sql(f"UPDATE sync SET finished_at = started_at WHERE id = {ended}")
    open_one = store.transact(lambda db: syncs.create(db, number, "manual", initiated_by="anna"))
    with count_statements(store.engine) as seen, store.read() as db:
        found = subjects.by_id(db, number)
    assert len(seen) == 1
    assert found is not None and found.cluster == there
    assert found.sync is not None and (found.sync.id, found.sync.phase) == (open_one, OperationPhase.RUNNING)
