"""The ownership ledger and the live table: one owner per object, only news is written."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from driftline.adapters.store import clusters, live, objects
from driftline.adapters.store.declarations import Declaration, declare_many
from driftline.adapters.store.engine import Store
from driftline.adapters.store.live import Sighting
from driftline.adapters.store.objects import Claim, ObjectState, WatchedKind
from driftline.model.drift import VerdictState
from driftline.model.health import HealthStatus
from driftline.model.objects import Key
from tests.kit.databases import count_statements

CLUSTER = "6e1f-kube-system-uid"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
WEB = Key("apps", "Deployment", "shop", "web")
SERVICE = Key("", "Service", "shop", "web")
NAMESPACE = Key("", "Namespace", "", "shop")
VERSIONS = {"apps": "apps/v1", "": "v1"}


@pytest.fixture
def apps(store: Store) -> tuple[int, int]:
    """The ids of two applications."""
    ids = store.transact(lambda db: declare_many(db, [Declaration("bank", {}), Declaration("shop", {})])).ids
    return ids["shop"], ids["bank"]


def claims(*keys: Key, wave: int = 0) -> list[Claim]:
    return [Claim(key, VERSIONS[key.group], wave) for key in keys]


def test_an_object_has_one_owner_and_the_others_are_claimed(store: Store, apps: tuple[int, int]) -> None:
    shop, bank = apps
    with count_statements(store.engine) as seen:
        claimed = store.transact(lambda db: objects.claim_many(db, CLUSTER, shop, claims(WEB, SERVICE)))
    assert (claimed.conflicts, len(seen)) == ({}, 1)
    claimed = store.transact(lambda db: objects.claim_many(db, CLUSTER, bank, claims(SERVICE, NAMESPACE)))
    assert claimed.conflicts == {SERVICE.id: shop}
    with store.read() as db:
        assert objects.owners(db, CLUSTER, [WEB, SERVICE, NAMESPACE]) == {
            WEB.id: shop,
            SERVICE.id: shop,
            NAMESPACE.id: bank,
        }
        assert objects.owners(db, "another cluster", [WEB]) == {}
        assert [row.key for row in objects.of_application(db, shop)] == [SERVICE, WEB]


def test_two_applications_that_claim_the_same_objects_at_once_do_not_deadlock(
    store: Store, apps: tuple[int, int]
) -> None:
    keys = [Key("", "ConfigMap", "shop", f"c{number:03}") for number in range(200)]

    def claim(turn: int) -> int:
        some = keys if turn % 2 else keys[::-1]
        owner = apps[turn % 2]
        return 200 - len(store.transact(lambda db: objects.claim_many(db, CLUSTER, owner, claims(*some))).conflicts)

    with ThreadPoolExecutor(4) as threads:
        got = list(threads.map(claim, range(8)))
    assert got[0] + got[1] == 200
    assert set(got) == {got[0], got[1]}


def test_claiming_again_keeps_what_is_known_and_calls_back_what_was_leaving(
    store: Store, apps: tuple[int, int]
) -> None:
    shop, _ = apps
    store.transact(lambda db: objects.claim_many(db, CLUSTER, shop, claims(WEB, SERVICE, wave=1)))
    store.transact(
        lambda db: objects.save_many(
            db,
            CLUSTER,
            shop,
            {
                WEB: {"state": ObjectState.LEAVING, "uid": "u1", "applied_fields": {"f:spec": {}}},
                SERVICE: {"state": ObjectState.LEAVING},
            },
        )
    )
    store.transact(lambda db: objects.claim_many(db, CLUSTER, shop, claims(WEB, SERVICE, wave=2)))
    with store.read() as db:
        rows = objects.of_keys(db, CLUSTER, [WEB, SERVICE])
    assert (rows[WEB.id].state, rows[WEB.id].uid, rows[WEB.id].wave) == (ObjectState.OWNED, "u1", 2)
    assert rows[WEB.id].applied_fields == {"f:spec": {}}
    assert rows[SERVICE.id].state == ObjectState.WANTED


def test_many_verdicts_are_one_statement_and_only_of_our_own(store: Store, apps: tuple[int, int]) -> None:
    shop, bank = apps
    keys = [Key("", "ConfigMap", "shop", f"c{number}") for number in range(100)]
    store.transact(lambda db: objects.claim_many(db, CLUSTER, shop, claims(*keys)))
    store.transact(lambda db: objects.claim_many(db, CLUSTER, bank, claims(WEB)))
    verdicts: dict[Key, objects.ObjectChanges] = {
        key: {"verdict": VerdictState.SYNCED, "verdict_until": NOW, "health_status": HealthStatus.HEALTHY}
        for key in [*keys, WEB]
    }
    with count_statements(store.engine) as seen:
        store.transact(lambda db: objects.save_many(db, CLUSTER, shop, verdicts))
    assert len(seen) == 1
    with store.read() as db:
        assert objects.counts(db, shop) == {(VerdictState.SYNCED, HealthStatus.HEALTHY): 100}
        assert objects.counts(db, bank) == {(VerdictState.UNKNOWN, HealthStatus.UNKNOWN): 1}


def test_objects_move_without_being_released(store: Store, apps: tuple[int, int]) -> None:
    shop, bank = apps
    store.transact(lambda db: objects.claim_many(db, CLUSTER, shop, claims(WEB)))
    store.transact(lambda db: objects.claim_many(db, CLUSTER, bank, claims(SERVICE)))
    moved = store.transact(lambda db: objects.move_many(db, CLUSTER, [WEB, SERVICE], shop, bank))
    assert moved == [WEB.id]
    assert store.transact(lambda db: objects.release_many(db, CLUSTER, shop, [WEB, SERVICE])) == 0
    assert store.transact(lambda db: objects.release_many(db, CLUSTER, bank, [WEB, SERVICE])) == 2


def test_what_has_to_be_watched(store: Store, apps: tuple[int, int]) -> None:
    shop, bank = apps
    store.transact(lambda db: objects.claim_many(db, CLUSTER, shop, claims(WEB, SERVICE)))
    store.transact(lambda db: objects.claim_many(db, CLUSTER, bank, claims(Key("apps", "Deployment", "bank", "web"))))
    deployments = WatchedKind("apps", "Deployment", "apps/v1")
    with store.read() as db:
        assert objects.by_kinds(db, CLUSTER) == [WatchedKind("", "Service", "v1"), deployments]
        found = objects.keys_of_kind(db, CLUSTER, deployments)
        assert found == {WEB.id: shop, "apps/Deployment/bank/web": bank}


def test_only_news_is_written_to_the_live_table(store: Store, apps: tuple[int, int]) -> None:
    cluster = store.transact(lambda db: clusters.save(db, "prod", "https://prod", None)).id
    first = [Sighting(WEB.id, "u1", "10", "d1", HealthStatus.PROGRESSING), Sighting(SERVICE.id, "u2", "11", "d2")]
    with count_statements(store.engine) as seen:
        news = store.transact(lambda db: live.upsert_many(db, cluster, first, NOW))
    assert (news, len(seen)) == ({WEB.id, SERVICE.id}, 1)
    later = NOW + timedelta(seconds=5)
    second = [Sighting(WEB.id, "u1", "20", "d1", HealthStatus.HEALTHY), Sighting(SERVICE.id, "u2", "21", "d2")]
    assert store.transact(lambda db: live.upsert_many(db, cluster, second, later)) == {WEB.id}
    with store.read() as db:
        rows = live.of_keys(db, cluster, [WEB.id, SERVICE.id, NAMESPACE.id])
    assert (rows[WEB.id].resource_version, rows[WEB.id].seen_at) == ("20", later)
    assert (rows[SERVICE.id].resource_version, rows[SERVICE.id].seen_at) == ("11", NOW)
    store.transact(lambda db: live.confirm(db, cluster, [SERVICE.id], later))
    with store.read() as db:
        assert live.of_keys(db, cluster, [SERVICE.id])[SERVICE.id].seen_at == later


def test_an_answer_never_covers_what_was_seen_later(store: Store, apps: tuple[int, int]) -> None:
    cluster = store.transact(lambda db: clusters.save(db, "prod", "https://prod", None)).id

    def answer(version: str, digest: str) -> set[str]:
        seen = [Sighting(WEB.id, "u1", version, digest)]
        return store.transact(lambda db: live.upsert_later(db, cluster, seen, NOW))

    assert answer("99", "first") == {WEB.id}
    assert answer("100", "second") == {WEB.id}, "numbers, not words"
    assert answer("99", "first") == set()
    with store.read() as db:
        assert live.of_keys(db, cluster, [WEB.id])[WEB.id].digest == "second"
    store.transact(lambda db: live.mark_gone(db, cluster, [WEB.id], NOW))
    assert answer("101", "made again") == {WEB.id}


def test_gone_is_news_once_and_so_is_coming_back(store: Store, apps: tuple[int, int]) -> None:
    cluster = store.transact(lambda db: clusters.save(db, "prod", "https://prod", None)).id
    seen = [Sighting(WEB.id, "u1", "10", "d1")]
    store.transact(lambda db: live.upsert_many(db, cluster, seen, NOW))
    gone = [store.transact(lambda db: live.mark_gone(db, cluster, [WEB.id], NOW)) for _ in range(2)]
    assert gone == [{WEB.id}, set()]
    with store.read() as db:
        row = live.of_keys(db, cluster, [WEB.id])[WEB.id]
        assert (row.gone, row.digest, row.health_status) == (True, "", HealthStatus.MISSING)
    assert store.transact(lambda db: live.upsert_many(db, cluster, seen, NOW)) == {WEB.id}


def test_live_state_of_an_application_is_one_statement(store: Store, apps: tuple[int, int]) -> None:
    shop, bank = apps

    def prepare(db: object) -> int:
        number = clusters.save(db, "prod", "https://prod", None).id  # type: ignore[arg-type]
        clusters.set_well(db, number, CLUSTER, "v1.37.2")  # type: ignore[arg-type]
        return number

    cluster = store.transact(prepare)
    store.transact(lambda db: objects.claim_many(db, CLUSTER, shop, claims(WEB)))
    store.transact(lambda db: objects.claim_many(db, CLUSTER, bank, claims(SERVICE)))
    both = [Sighting(WEB.id, "u1", "10", "d1"), Sighting(SERVICE.id, "u2", "11", "d2")]
    store.transact(lambda db: live.upsert_many(db, cluster, [*both, Sighting("/Pod/x/stray", "u3", "1", "d")], NOW))
    with count_statements(store.engine) as seen, store.read() as db:
        assert set(live.of_application(db, shop)) == {(cluster, WEB.id)}
    assert len(seen) == 1
    with count_statements(store.engine) as seen, store.read() as db:
        [known] = live.known_of_kind(db, cluster, CLUSTER, WatchedKind("apps", "Deployment", "apps/v1")).values()
        [elsewhere] = live.known_of_kind(
            db, cluster + 1, CLUSTER, WatchedKind("apps", "Deployment", "apps/v1")
        ).values()
        assert live.known_of_kind(db, cluster, CLUSTER, WatchedKind("apps", "Deployment", "apps/v1beta1")) == {}
    assert len(seen) == 3
    assert (known.key_id, known.uid, known.digest, known.gone) == (WEB.id, "u1", "d1", False)
    assert (known.state, known.verdict) == (ObjectState.WANTED, VerdictState.UNKNOWN)
    assert (elsewhere.key_id, elsewhere.uid, elsewhere.gone) == (WEB.id, None, None), "owned, and never seen"
    assert store.transact(lambda db: live.prune_unowned(db, cluster, CLUSTER)) == 1
    store.transact(lambda db: clusters.remove(db, "prod"))
    with store.read() as db:
        assert live.of_keys(db, cluster, [WEB.id]) == {}
