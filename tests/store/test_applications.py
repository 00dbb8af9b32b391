"""Applications: declared once, changed when they change, never taken from another parent, listed in pages."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from driftline.adapters.store import applications, clusters, histories, objects, renders, repositories
from driftline.adapters.store.applications import Filter
from driftline.adapters.store.declarations import Declaration, Declared, SourceDeclaration, declare, declare_many
from driftline.adapters.store.engine import Store
from driftline.adapters.store.histories import Deployment
from driftline.adapters.store.objects import Claim
from driftline.model.health import HealthStatus, SyncStatus
from driftline.model.objects import Key
from tests.kit.databases import count_statements

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def shop(
    name: str = "shop", revision: str = "main", parent: int | None = None, project: str = "default"
) -> Declaration:
    return Declaration(
        name=name,
        document={"metadata": {"name": name}, "spec": {"source": {"targetRevision": revision}}},
        project=project,
        parent_id=parent,
        namespace="shop",
        labels={"team": "shop"},
        sources=(SourceDeclaration("example.org/shop", revision, f"apps/{name}"),),
    )


def make(store: Store, *declarations: Declaration) -> dict[str, int]:
    return dict(store.transact(lambda db: declare_many(db, declarations)).ids)


def test_a_declaration_is_saved_with_its_sources(store: Store) -> None:
    declared = store.transact(lambda db: declare(db, shop()))
    assert declared.created == {"shop"}
    with store.read() as db:
        row = applications.get(db, "shop")
        assert row is not None and row == applications.by_id(db, declared.ids["shop"])
        assert (row.generation, row.labels, row.sync_status) == (1, {"team": "shop"}, SyncStatus.UNKNOWN)
        assert [each.path for each in applications.sources(db, row.id)] == ["apps/shop"]


def test_only_a_change_raises_the_generation_and_state_survives_it(store: Store) -> None:
    number = make(store, shop())["shop"]
    paused = {"by": "anna", "why": "incident"}
    store.transact(lambda db: applications.set_status(db, number, paused=paused, sync_status=SyncStatus.SYNCED))
    with count_statements(store.engine) as seen:
        again = store.transact(lambda db: declare(db, shop()))
    assert len(seen) == 1
    assert again == Declared({"shop": number})
    changed = store.transact(lambda db: declare(db, shop(revision="v2")))
    assert changed.changed == {"shop"}
    with store.read() as db:
        row = applications.by_id(db, number)
        assert row is not None
        assert (row.generation, row.paused, row.sync_status) == (2, paused, SyncStatus.SYNCED)
        assert [each.target_revision for each in applications.sources(db, number)] == ["v2"]


def test_two_hundred_children_are_four_statements_and_one_when_nothing_changed(store: Store) -> None:
    parent = make(store, shop("root"))["root"]
    children = [shop(f"child-{number:03}", parent=parent) for number in range(200)]
    with count_statements(store.engine) as seen:
        assert len(make(store, *children)) == 200
    assert len(seen) <= 4
    children[7] = shop("child-007", "v2", parent)
    with count_statements(store.engine) as seen:
        declared = store.transact(lambda db: declare_many(db, children))
    assert declared.changed == {"child-007"}
    assert len(seen) == 4
    with store.read() as db:
        assert len(applications.children(db, parent)) == 200


def test_an_application_is_never_taken_from_another_parent(store: Store) -> None:
    first, second = make(store, shop("team-a"), shop("team-b")).values()
    child = make(store, shop("web", parent=first))["web"]
    declared = store.transact(lambda db: declare_many(db, [shop("web", "evil", second), shop("own", parent=second)]))
    assert declared.refused == {"web": first}
    assert declared.created == {"own"}
    with store.read() as db:
        row = applications.by_id(db, child)
        assert row is not None and (row.parent_id, row.generation) == (first, 1)
        assert [each.target_revision for each in applications.sources(db, child)] == ["main"]


def test_a_repository_knows_who_reads_it(store: Store) -> None:
    ids = make(store, shop("a"), shop("b"), shop("other", project="bank"))

    def link(db: Connection) -> tuple[int, int]:
        new = repositories.NewRepository("https://example.org/shop.git", "example.org/shop", project="default")
        row = repositories.save(db, new, repositories.new_hook_id())
        return row.id, applications.link_sources(db, row.id, row.url_normal, row.project)

    number, linked = store.transact(link)
    assert linked == 2
    store.transact(lambda db: applications.set_status(db, ids["b"], revisions=["abc"], inputs={"trees": ["t1"]}))
    with store.read() as db:
        uses = applications.of_repository(db, number)
        assert [(each.name, each.path, each.revisions) for each in uses] == [
            ("a", "apps/a", None),
            ("b", "apps/b", ["abc"]),
        ]
        assert uses[1].inputs == {"trees": ["t1"]}
        assert [each.name for each in applications.of_url(db, "example.org/shop")] == ["a", "b", "other"]
    store.transact(lambda db: repositories.remove(db, number))
    with store.read() as db:
        assert {each.repository_id for each in applications.sources(db, ids["a"])} == {None}


def test_many_statuses_are_one_statement_and_health_remembers_its_change(store: Store) -> None:
    ids = make(store, *(shop(f"app-{number}") for number in range(30)))
    changes: dict[int, applications.Changes] = {
        number: {"health_status": HealthStatus.HEALTHY, "checked_at": NOW} for number in ids.values()
    }
    with count_statements(store.engine) as seen:
        store.transact(lambda db: applications.set_statuses(db, changes))
    assert len(seen) == 1
    with store.read() as db:
        before = applications.by_ids(db, list(ids.values()))
    store.transact(lambda db: applications.set_statuses(db, changes))
    one = ids["app-3"]
    store.transact(lambda db: applications.set_status(db, one, health_status=HealthStatus.DEGRADED))
    with store.read() as db:
        after = applications.by_ids(db, list(ids.values()))
        assert after[one].checked_at == NOW
        moved = {number for number in after if after[number].health_changed_at != before[number].health_changed_at}
        assert moved == {one}


def test_lists_come_in_pages_and_can_be_filtered(store: Store) -> None:
    ids = make(store, *(shop(f"web-{number}") for number in range(5)), shop("API_1", project="bank"))
    store.transact(lambda db: applications.set_status(db, ids["web-3"], sync_status=SyncStatus.OUT_OF_SYNC))
    with store.read() as db:
        names: list[str] = []
        after = ""
        while True:
            page = applications.page(db, after=after, limit=2)
            names += [row.name for row in page.rows]
            if not (after := page.after):
                break
        assert names == ["API_1", *(f"web-{number}" for number in range(5))]

        def found(where: Filter) -> list[str]:
            return [row.name for row in applications.page(db, where).rows]

        assert found(Filter(projects=["bank"])) == ["API_1"]
        assert found(Filter(projects=[])) == []
        assert found(Filter(sync=SyncStatus.OUT_OF_SYNC)) == ["web-3"]
        assert found(Filter(contains="pi_")) == ["API_1"]
        assert found(Filter(contains="B_1")) == []
        assert applications.counts(db) == {
            (SyncStatus.UNKNOWN, HealthStatus.UNKNOWN): 5,
            (SyncStatus.OUT_OF_SYNC, HealthStatus.UNKNOWN): 1,
        }


def test_verdicts_that_aged_out_are_found(store: Store) -> None:
    ids = make(store, shop("old"), shop("fresh"), shop("leaving"))
    past, future = datetime.now(UTC) - timedelta(minutes=1), datetime.now(UTC) + timedelta(hours=1)
    changes: dict[int, applications.Changes] = {
        ids["old"]: {"verdict_until": past},
        ids["fresh"]: {"verdict_until": future},
        ids["leaving"]: {"verdict_until": past, "deleting": True},
    }
    store.transact(lambda db: applications.set_statuses(db, changes))
    with store.read() as db:
        assert applications.stale(db) == [ids["old"]]


def test_an_application_cannot_vanish_while_it_owns_objects(store: Store) -> None:
    number = make(store, shop())["shop"]
    web = Key("apps", "Deployment", "shop", "web")
    store.transact(lambda db: objects.claim_many(db, "uid", number, [Claim(web, "apps/v1")]))
    with pytest.raises(IntegrityError):
        store.transact(lambda db: applications.remove(db, number))
    store.transact(lambda db: objects.release_many(db, "uid", number, [web]))
    store.transact(lambda db: applications.remove(db, number))
    with store.read() as db:
        assert applications.get(db, "shop") is None
        assert applications.sources(db, number) == []


def test_a_cluster_with_applications_cannot_vanish(store: Store) -> None:
    cluster = store.transact(lambda db: clusters.save(db, "prod", "https://prod", None))
    store.transact(lambda db: declare(db, Declaration("shop", {}, cluster_id=cluster.id)))
    with pytest.raises(IntegrityError):
        store.transact(lambda db: clusters.remove(db, "prod"))


def test_history_counts_up_for_ever_and_keeps_the_newest(store: Store) -> None:
    number = make(store, shop())["shop"]
    deployed = [
        Deployment(number, [f"rev{turn}"], [{"path": "apps"}], None, turn, NOW, NOW + timedelta(minutes=turn), "anna")
        for turn in range(7)
    ]
    given = [store.transact(lambda db, each=each: histories.append(db, each, limit=3)) for each in deployed]  # type: ignore[misc]
    assert given == [0, 1, 2, 3, 4, 5, 6]
    with store.read() as db:
        rows = histories.of_application(db, number)
        assert [(row.number, row.revisions) for row in rows] == [(6, ["rev6"]), (5, ["rev5"]), (4, ["rev4"])]
        assert rows[0].deployed_at == NOW + timedelta(minutes=6)
        assert histories.get(db, number, 3) is None


def test_renders_are_kept_while_something_names_them(store: Store) -> None:
    number = make(store, shop())["shop"]
    used, kept, idle = (
        store.transact(lambda db, key=key: renders.put(db, key, b"sealed", 4, "digest"))  # type: ignore[misc]
        for key in ("used", "kept", "idle")
    )
    assert store.transact(lambda db: renders.put(db, "used", b"other", 9, "other")) == used
    store.transact(lambda db: applications.set_status(db, number, render_id=used))
    store.transact(lambda db: histories.append(db, Deployment(number, ["r"], [], kept, None, NOW, NOW)))
    future = datetime(2099, 1, 1, tzinfo=UTC)
    assert store.transact(lambda db: renders.prune_unused(db, future)) == 1
    with store.read() as db:
        assert renders.by_id(db, idle) is None
        row = renders.get(db, "used")
        assert row is not None and (row.sealed, row.objects) == (b"sealed", 4)
