"""Accounts in the database. The only part of signing in that knows the store."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from driftline.adapters.store import accounts as rows
from driftline.adapters.store.accounts import AccountRow, TokenRow
from driftline.adapters.store.engine import Store
from driftline.model.errors import Temporary
from service.auth.accounts import Account, Credential, CredentialKind, NewCredential

NOTED_EVERY = timedelta(minutes=1)
"""How exactly the last use of an API token is kept: a busy client must not cause a write per request."""


_Change = Callable[[Connection, AccountRow], object]


class StoredAccounts:
    """The Accounts of a Store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, name: str) -> Account | None:
        with self._store.read() as db:
            row = rows.get(db, name)
        return _account(row) if row else None

    def add(self, name: str, roles: tuple[str, ...], password_hash: str) -> Account | None:
        def unit(db: Connection) -> Account | None:
            return None if rows.get(db, name) else _account(rows.save(db, name, roles, password_hash))

        return self._store.transact(unit)

    def set_roles(self, name: str, roles: tuple[str, ...]) -> bool:
        return self._change(name, lambda db, row: rows.save(db, name, roles))

    def set_password(self, name: str, password_hash: str) -> bool:
        return self._change(name, lambda db, row: rows.save(db, name, row.roles, password_hash))

    def set_enabled(self, name: str, enabled: bool) -> bool:
        return self._change(name, lambda db, row: rows.set_enabled(db, name, enabled), revoke=not enabled)

    def issue(self, account: Account, new: NewCredential) -> None:
        row = rows.NewToken(new.id, account.id, new.hashed, new.kind, new.lifetime, new.note)
        self._store.transact(lambda db: rows.issue(db, row))

    def by_hash(self, hashed: str) -> Credential | None:
        with self._store.read() as db:
            found = rows.by_hash(db, hashed)
        if found is None:
            return None
        owner, token = found
        self._note_use(token)
        return _credential(owner, token)

    def credentials(self, account: Account) -> tuple[Credential, ...]:
        with self._store.read() as db:
            owner = rows.get(db, account.name)
            # The database decides what is valid, as in by_hash: its clock is the one that counts.
            valid = [token for token in rows.tokens(db, account.id) if rows.by_hash(db, token.hash)]
        return tuple(_credential(owner, token) for token in valid) if owner else ()

    def revoke(self, credential_id: str) -> None:
        self._store.transact(lambda db: rows.revoke(db, [credential_id]))

    def failed(self, key: str, window: timedelta) -> int:
        return self._store.transact(lambda db: rows.failed(db, key, window))

    def failures(self, key: str, window: timedelta) -> int:
        with self._store.read() as db:
            return rows.failures(db, key, window)

    def succeeded(self, key: str) -> None:
        self._store.transact(lambda db: rows.succeeded(db, key))

    def _change(self, name: str, change: _Change, revoke: bool = True) -> bool:
        def unit(db: Connection) -> bool:
            row = rows.get(db, name)
            if row is None:
                return False
            change(db, row)
            if revoke:
                rows.revoke_all(db, row.id)
            return True

        return self._store.transact(unit)

    def _note_use(self, token: TokenRow) -> None:
        recent = token.last_used_at is not None and token.last_used_at > datetime.now(UTC) - NOTED_EVERY
        if token.kind != CredentialKind.API or recent:
            return
        try:
            self._store.transact(lambda db: rows.used(db, token.id, NOTED_EVERY))
        except Temporary:
            # Nobody is kept out because a time could not be noted.
            pass


def _account(row: AccountRow) -> Account:
    initial = row.password_changed_at is not None and row.password_changed_at <= row.created_at
    return Account(row.id, row.name, tuple(row.roles), row.password_hash, row.enabled, initial)


def _credential(owner: AccountRow, token: TokenRow) -> Credential:
    return Credential(token.id, CredentialKind(token.kind), _account(owner), token.expires_at, token.note)
