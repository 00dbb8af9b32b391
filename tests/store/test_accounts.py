"""Accounts, tokens, failed logins and the audit trail."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from driftline.adapters.store import accounts, audit
from driftline.adapters.store.accounts import NewToken
from driftline.adapters.store.engine import Store

FUTURE = datetime(2099, 1, 1, tzinfo=UTC)
WINDOW = timedelta(minutes=5)


def test_roles_change_without_the_password_and_the_password_without_guessing(store: Store) -> None:
    anna = store.transact(lambda db: accounts.save(db, "anna", ["admin"], "hash"))
    again = store.transact(lambda db: accounts.save(db, "anna", ["readonly", "readonly"]))
    assert (again.id, again.roles, again.password_hash) == (anna.id, ["readonly"], "hash")
    assert again.password_changed_at == anna.password_changed_at is not None
    with store.read() as db:
        assert accounts.get(db, "anna") == again
        assert [each.name for each in accounts.everyone(db)] == ["anna"]
    assert not store.transact(lambda db: accounts.set_enabled(db, "bob", False))


def test_a_token_is_good_until_it_ends_in_any_way(store: Store) -> None:
    anna = store.transact(lambda db: accounts.save(db, "anna", [])).id
    for name, lifetime in (("good", WINDOW), ("expired", -WINDOW), ("revoked", None)):
        new = NewToken(name, anna, f"hash-{name}", "api", lifetime, claims={"aud": "ci"})
        store.transact(lambda db, new=new: accounts.issue(db, new))  # type: ignore[misc]
    assert store.transact(lambda db: accounts.revoke(db, ["revoked"])) == 1
    with store.read() as db:
        found = accounts.by_hash(db, "hash-good")
        assert found is not None
        assert (found[0].name, found[1].id, found[1].claims) == ("anna", "good", {"aud": "ci"})
        assert [accounts.by_hash(db, f"hash-{name}") for name in ("expired", "revoked", "guess")] == [None] * 3
        assert len(accounts.tokens(db, anna)) == 3
    store.transact(lambda db: accounts.set_enabled(db, "anna", False))
    with store.read() as db:
        assert accounts.by_hash(db, "hash-good") is None
    assert store.transact(lambda db: accounts.prune(db, FUTURE)) == 3


def test_a_busy_token_is_noted_once_a_minute_and_all_can_be_revoked(store: Store) -> None:
    anna = store.transact(lambda db: accounts.save(db, "anna", [])).id
    for name, kind in (("a", "api"), ("s", "session")):
        store.transact(lambda db, n=name, k=kind: accounts.issue(db, NewToken(n, anna, n, k)))  # type: ignore[misc]
    used = []
    for _ in range(2):
        store.transact(lambda db: accounts.used(db, "a"))
        with store.read() as db:
            used.append({each.id: each.last_used_at for each in accounts.tokens(db, anna)}["a"])
    assert used[0] == used[1] is not None
    assert store.transact(lambda db: accounts.revoke_all(db, anna, "session")) == 1
    assert store.transact(lambda db: accounts.revoke_all(db, anna)) == 1
    assert store.transact(lambda db: accounts.remove(db, "anna"))


def test_failed_logins_are_counted_together_and_forgotten(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        counts = list(
            threads.map(lambda _: store.transact(lambda db: accounts.failed(db, "name:anna", WINDOW)), range(16))
        )
    assert sorted(counts) == list(range(1, 17))
    with store.read() as db:
        assert accounts.failures(db, "name:anna", WINDOW) == 16
        assert accounts.failures(db, "name:anna", -WINDOW) == 0
        assert accounts.failures(db, "name:bob", WINDOW) == 0
    assert store.transact(lambda db: accounts.failed(db, "name:anna", -WINDOW)) == 1
    store.transact(lambda db: accounts.succeeded(db, "name:anna"))
    with store.read() as db:
        assert accounts.failures(db, "name:anna", WINDOW) == 0


def test_the_audit_trail_reads_backwards(store: Store) -> None:
    for number in range(3):
        store.transact(lambda db, n=number: audit.append(db, "anna", "app.sync", "app:shop", {"turn": n}))  # type: ignore[misc]
    store.transact(lambda db: audit.append(db, "bob", "app.rollback", "app:bank"))
    with store.read() as db:
        rows = audit.page(db, subject="app:shop")
        assert [row.detail for row in rows] == [{"turn": 2}, {"turn": 1}, {"turn": 0}]
        assert audit.page(db, "app:shop", before=rows[0].id) == rows[1:]
        assert [row.action for row in audit.page(db, actor="bob")] == ["app.rollback"]
    assert store.transact(lambda db: audit.prune(db, FUTURE)) == 4
