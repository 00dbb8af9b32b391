"""What signing in needs of a database: the same from memory and from SQLite."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from driftline.adapters.store.engine import Store
from driftline.adapters.store.tables import metadata
from service.auth.accounts import Account, Accounts, CredentialKind, NewCredential
from service.auth.storage import StoredAccounts
from tests.kit.accounts import MemoryAccounts

SHORT = timedelta(seconds=1)


@pytest.fixture(params=["memory", "sqlite"])
def accounts(request: pytest.FixtureRequest, tmp_path: Path) -> Accounts:
    if request.param == "memory":
        return MemoryAccounts()
    store = Store(f"sqlite:///{tmp_path}/driftline.db")
    with store.write() as db:
        metadata.create_all(db)
    return StoredAccounts(store)


def wait(accounts: Accounts, time_passed: timedelta) -> None:
    if isinstance(accounts, MemoryAccounts):
        accounts.forward(time_passed)
    else:
        time.sleep(time_passed.total_seconds())


def ada(accounts: Accounts) -> Account:
    found = accounts.add("ada", ("role:shop", "role:admin"), "a hash")
    assert found
    return found


def session(accounts: Accounts, account: Account, hashed: str = "h", lifetime: timedelta | None = None) -> None:
    accounts.issue(account, NewCredential(f"id-{hashed}", hashed, CredentialKind.SESSION, lifetime))


def test_an_account_is_found_again(accounts: Accounts) -> None:
    made = ada(accounts)
    assert accounts.find("ada") == made
    assert (made.roles, made.password_hash, made.enabled) == (("role:admin", "role:shop"), "a hash", True)
    assert accounts.find("Ada") is None
    assert accounts.add("ada", (), "another") is None
    assert accounts.find("ada") == made


def test_a_password_is_the_initial_one_until_it_is_changed(accounts: Accounts) -> None:
    assert ada(accounts).initial_password
    wait(accounts, timedelta(milliseconds=20))
    assert accounts.set_password("ada", "new")
    found = accounts.find("ada")
    assert found
    assert (found.password_hash, found.initial_password, found.roles) == ("new", False, ("role:admin", "role:shop"))


def test_a_credential_is_valid_until_it_ends_or_is_revoked(accounts: Accounts) -> None:
    account = ada(accounts)
    session(accounts, account, "for ever")
    session(accounts, account, "short", SHORT)
    found = accounts.by_hash("short")
    assert found
    assert (found.id, found.kind, found.account) == ("id-short", CredentialKind.SESSION, account)
    assert [each.id for each in accounts.credentials(account)] == ["id-short", "id-for ever"]
    wait(accounts, SHORT)
    assert accounts.by_hash("short") is None
    assert [each.id for each in accounts.credentials(account)] == ["id-for ever"]
    accounts.revoke("id-for ever")
    accounts.revoke("id-for ever")
    assert accounts.by_hash("for ever") is None
    assert accounts.by_hash("unknown") is None


def test_changes_of_password_roles_and_access_end_every_credential(accounts: Accounts) -> None:
    account = ada(accounts)
    other = accounts.add("bob", (), "a hash")
    assert other
    session(accounts, other, "bob's")
    changes: list[Callable[[], bool]] = [
        lambda: accounts.set_password("ada", "new"),
        lambda: accounts.set_roles("ada", ("role:readonly",)),
        lambda: accounts.set_enabled("ada", False),
    ]
    for change in changes:
        accounts.set_enabled("ada", True)
        hashed = f"h{time.monotonic_ns()}"
        session(accounts, account, hashed)
        assert accounts.by_hash(hashed)
        assert change()
        assert accounts.by_hash(hashed) is None
        accounts.set_enabled("ada", True)
        assert accounts.by_hash(hashed) is None
    assert accounts.by_hash("bob's")
    assert not accounts.set_password("nobody", "x")
    assert not accounts.set_roles("nobody", ())
    assert not accounts.set_enabled("nobody", False)


def test_failures_are_counted_per_window(accounts: Accounts) -> None:
    assert accounts.failures("account:ada", SHORT) == 0
    assert [accounts.failed("account:ada", SHORT) for _ in range(3)] == [1, 2, 3]
    assert accounts.failed("account:bob", SHORT) == 1
    assert accounts.failures("account:ada", SHORT) == 3
    accounts.succeeded("account:bob")
    assert accounts.failures("account:bob", SHORT) == 0
    wait(accounts, SHORT * 1.2)
    assert accounts.failures("account:ada", SHORT) == 0
    assert accounts.failed("account:ada", SHORT) == 1
