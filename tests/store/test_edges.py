"""Repositories and clusters: found by what hosts call them, their failures remembered, one watcher each."""

from datetime import timedelta

import pytest

from driftline.adapters.store import clusters, repositories
from driftline.adapters.store.declarations import Declaration, SourceDeclaration, declare
from driftline.adapters.store.engine import Store
from driftline.adapters.store.errors import Contention
from driftline.adapters.store.repositories import Named, NewRepository, RepositoryRow
from driftline.desired.revision import Tracked
from tests.kit.databases import count_statements

LEASE = timedelta(seconds=30)


def add(store: Store, url: str, project: str = "", template: bool = False) -> RepositoryRow:
    new = NewRepository(f"https://{url}", url, project, is_template=template, credentials=b"sealed")
    return store.transact(lambda db: repositories.save(db, new, repositories.hook_id_for(db, project, url, template)))


def test_a_repository_is_found_by_hook_and_by_any_of_its_urls(store: Store) -> None:
    shop = add(store, "example.org/shop")
    bank = add(store, "example.org/shop", project="bank")
    with store.read() as db:
        found = repositories.by_urls(db, ["example.org/shop", "git.example.org/shop"])
        assert [row.id for row in found] == [shop.id, bank.id]
        assert repositories.by_hook(db, shop.hook_id) == shop
        assert repositories.by_hook(db, "guess") is None
        own = repositories.for_application(db, "example.org/shop", "bank")
        common = repositories.for_application(db, "example.org/shop", "default")
        assert own is not None and own.id == bank.id
        assert common is not None and common.id == shop.id
        assert [row.id for row in repositories.everything(db, ["bank"])] == [bank.id]


def test_what_a_delivery_may_be_about_is_one_narrow_statement(store: Store) -> None:
    shop, bank = add(store, "example.org/shop"), add(store, "example.org/shop", project="bank")
    add(store, "example.org/shop", template=True)
    add(store, "example.org/unread")
    for name, revision, row in (
        ("web", "main", shop),
        ("api", "main", shop),
        ("old", "1.*", shop),
        ("till", "main", bank),
    ):
        read = SourceDeclaration(
            "example.org/shop", revision, name, row.id, tag_prefix="v" if revision == "1.*" else ""
        )
        store.transact(lambda db: declare(db, Declaration(name, {}, sources=(read,))))  # noqa: B023
    urls = ["example.org/shop", "example.org/unread"]
    with count_statements(store.engine) as seen, store.read() as db:
        found = repositories.announced(db, urls)
    assert len(seen) == 1
    assert [(each.id, each.kind, each.url_normal) for each in found] == [
        (row.id, "git", "example.org/shop") for row in (shop, bank)
    ]
    assert set(found[0].followed) == {Tracked("main"), Tracked("1.*", "v")}
    with store.read() as db:
        assert [each.id for each in repositories.announced(db, urls, bank.hook_id)] == [bank.id]
        assert repositories.announced(db, urls, "guess") == []


def test_saving_again_keeps_the_hook_and_the_secrets_that_are_not_given(store: Store) -> None:
    first = add(store, "example.org/shop")
    new = NewRepository("https://example.org/shop/", "example.org/shop", hook_secret=b"secret")
    second = store.transact(lambda db: repositories.save(db, new, first.hook_id))
    assert (second.id, second.hook_id, second.url) == (first.id, first.hook_id, "https://example.org/shop/")
    assert (second.credentials, second.hook_secret) == (b"sealed", b"secret")


def test_secrets_sealed_for_another_hook_id_are_not_saved(store: Store) -> None:
    first = add(store, "example.org/shop")
    new = NewRepository("https://example.org/shop", "example.org/shop", credentials=b"sealed for another")
    with pytest.raises(Contention):
        store.transact(lambda db: repositories.save(db, new, repositories.new_hook_id()))
    with store.read() as db:
        assert repositories.by_id(db, first.id) == first


def test_a_template_covers_urls_below_its_own_and_no_others(store: Store) -> None:
    add(store, "example.org/team", template=True)
    add(store, "example.org/team/secret", template=True)
    add(store, "example.org/team", project="bank", template=True)
    with store.read() as db:

        def template(url: str, project: str = "default") -> tuple[str, str] | None:
            row = repositories.template_for(db, url, project)
            return (row.project, row.url_normal) if row else None

        assert template("example.org/team/shop") == ("", "example.org/team")
        assert template("example.org/team/shop", "bank") == ("bank", "example.org/team")
        assert template("example.org/team/secret/x", "bank") == ("", "example.org/team/secret")
        assert template("example.org/team-of-others/shop") is None
        assert repositories.by_urls(db, ["example.org/team"]) == []


def test_a_failing_repository_keeps_its_refs_and_knows_since_when(store: Store) -> None:
    number = add(store, "example.org/shop").id
    store.transact(lambda db: repositories.set_fetched(db, number, {"refs/heads/main": "abc"}, "refs/heads/main"))
    since = [store.transact(lambda db: repositories.set_failed(db, number, "no route")) for _ in range(2)]
    assert since[0] == since[1]
    with store.read() as db:
        row = repositories.by_id(db, number)
        assert row is not None
        assert (row.state, row.message, row.refs) == ("unreachable", "no route", {"refs/heads/main": "abc"})
    store.transact(lambda db: repositories.set_fetched(db, number, {"refs/heads/main": "def"}))
    with store.read() as db:
        row = repositories.by_id(db, number)
        assert row is not None and (row.state, row.failing_since) == ("ok", None)


def test_a_cluster_is_found_by_name_server_and_uid(store: Store) -> None:
    prod = store.transact(lambda db: clusters.save(db, "prod", "https://prod", b"access"))
    store.transact(lambda db: clusters.set_well(db, prod.id, "uid", "v1.37.2"))
    again = store.transact(lambda db: clusters.save(db, "prod", "https://prod:6443", None))
    assert (again.id, again.access, again.uid) == (prod.id, b"access", "uid")
    with store.read() as db:
        assert clusters.by_server(db, "https://prod:6443") == clusters.by_uid(db, "uid") == [again]
        assert clusters.get(db, "prod") == clusters.by_id(db, prod.id) == again
        assert clusters.get(db, "dev") is None
        assert clusters.everything(db) == [again]
    since = [store.transact(lambda db: clusters.set_failed(db, prod.id, "timeout")) for _ in range(2)]
    assert since[0] == since[1]
    assert store.transact(lambda db: clusters.remove(db, "prod"))


def test_a_cluster_has_one_watcher_until_its_lease_ends(store: Store) -> None:
    prod = store.transact(lambda db: clusters.save(db, "prod", "https://prod", None)).id

    def take(owner: str, lease: timedelta = LEASE) -> bool:
        return store.transact(lambda db: clusters.take_watch(db, prod, owner, lease))

    assert [take("a"), take("b"), take("a", -LEASE), take("b"), take("a")] == [True, False, True, True, False]
    assert not store.transact(lambda db: clusters.set_bookmark(db, prod, "a"))
    assert store.transact(lambda db: clusters.set_bookmark(db, prod, "b"))
    store.transact(lambda db: clusters.release_watch(db, prod, "b"))
    assert take("a")


def test_a_repository_that_nobody_registered_has_the_kind_that_an_application_named_first(store: Store) -> None:
    named = [
        Named("https://charts.example.org", "https://charts.example.org/", "helm"),
        Named("h/x", "oci://h/x", "oci"),
    ]
    first = store.transact(lambda db: repositories.ensure_many(db, named))
    again = [Named("https://charts.example.org", "https://charts.example.org/", "git")]
    second = store.transact(lambda db: repositories.ensure_many(db, again))
    assert {normal: row.kind for normal, row in first.items()} == {each.url_normal: each.kind for each in named}
    assert second["https://charts.example.org/"] == first["https://charts.example.org/"]
    assert all(row.options is None for row in first.values())


def test_another_kind_forgets_what_was_fetched(store: Store) -> None:
    [row] = store.transact(
        lambda db: repositories.ensure_many(db, [Named("https://h/x", "https://h/x", "helm")])
    ).values()
    answers = [{"chart": "redis", "wanted": "*", "version": "1.0.0", "digest": "sha256:x"}]
    store.transact(lambda db: repositories.set_charts(db, row.id, answers))
    with store.read() as db:
        well = repositories.by_id(db, row.id)
        assert well is not None
        assert (well.state, well.charts, well.refs) == ("ok", answers, None)
    store.transact(lambda db: repositories.set_failed(db, row.id, "no route"))
    with store.read() as db:
        assert repositories.by_id(db, row.id).charts == answers  # type: ignore[union-attr]
    store.transact(lambda db: repositories.set_kind(db, row.id, "git"))
    with store.read() as db:
        other = repositories.by_id(db, row.id)
        assert other is not None
        assert (other.kind, other.charts, other.fetched_at, other.failing_since) == ("git", None, None, None)
