"""People and machines that sign in: accounts, sessions, tokens, failed logins. Called by service."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, case, delete, or_, select, update

from driftline.adapters.store.columns import Shape, db_now, excluded, insert
from driftline.adapters.store.tables.people import account, login_failure, token


@dataclass(frozen=True)
class AccountRow:
    """A local account, or the shadow of one that an identity provider knows (no password)."""

    id: int
    name: str
    password_hash: str
    roles: list[str]
    enabled: bool
    password_changed_at: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class TokenRow:
    """A session or an API token; only the hash of its secret is known."""

    id: str
    account_id: int
    hash: str
    kind: str
    note: str
    claims: dict[str, Any] | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class NewToken:
    """A token to be saved. `id` is public and random, `hash` is of its secret, `kind` is `session` or `api`."""

    id: str
    account_id: int
    hash: str
    kind: str
    lifetime: timedelta | None = None
    note: str = ""
    claims: Mapping[str, Any] | None = None


ACCOUNT = Shape(AccountRow, account)
TOKEN = Shape(TokenRow, token)


def save(db: Connection, name: str, roles: Iterable[str], password_hash: str = "") -> AccountRow:
    """Add an account, or set the roles of the one of this name; an empty hash leaves its password as it is."""
    changed = db_now() if password_hash else None
    statement = insert(db, account).values(
        name=name,
        roles=sorted(set(roles)),
        password_hash=password_hash,
        password_changed_at=changed,
        created_at=db_now(),
    )
    new = excluded(account)
    given = new.password_hash != ""
    statement = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "roles": new.roles,
            "password_hash": case((given, new.password_hash), else_=account.c.password_hash),
            "password_changed_at": case((given, db_now()), else_=account.c.password_changed_at),
        },
    )
    return ACCOUNT.read(db.execute(statement.returning(*ACCOUNT.columns)).one())


def get(db: Connection, name: str) -> AccountRow | None:
    """An account by its name."""
    return ACCOUNT.first(db.execute(ACCOUNT.select().where(account.c.name == name)))


def everyone(db: Connection) -> list[AccountRow]:
    """All accounts, by name."""
    return ACCOUNT.all(db.execute(ACCOUNT.select().order_by(account.c.name)))


def set_enabled(db: Connection, name: str, enabled: bool) -> bool:
    """Let an account in or lock it out; False if there is none. A locked account's tokens stop to work."""
    return db.execute(update(account).where(account.c.name == name).values(enabled=enabled)).rowcount == 1


def remove(db: Connection, name: str) -> bool:
    """Forget an account and its tokens; False if there was none."""
    return db.execute(delete(account).where(account.c.name == name)).rowcount == 1


def issue(db: Connection, new: NewToken) -> TokenRow:
    """Save a new session or API token."""
    statement = insert(db, token).values(
        id=new.id,
        account_id=new.account_id,
        hash=new.hash,
        kind=new.kind,
        note=new.note,
        claims=new.claims,
        created_at=db_now(),
        expires_at=None if new.lifetime is None else db_now(new.lifetime),
    )
    return TOKEN.read(db.execute(statement.returning(*TOKEN.columns)).one())


def by_hash(db: Connection, hashed: str) -> tuple[AccountRow, TokenRow] | None:
    """Who shows this token, if it is valid now: not revoked, not expired, its account enabled."""
    valid = and_(
        token.c.hash == hashed,
        token.c.revoked_at.is_(None),
        or_(token.c.expires_at.is_(None), token.c.expires_at > db_now()),
        account.c.enabled.is_(True),
    )
    query = select(*ACCOUNT.columns, *TOKEN.columns).join(token, token.c.account_id == account.c.id).where(valid)
    row = db.execute(query).first()
    return None if row is None else (ACCOUNT.read(row), TokenRow(*row[len(ACCOUNT.columns) :]))


def tokens(db: Connection, account_id: int) -> list[TokenRow]:
    """The tokens of an account, the newest first."""
    return TOKEN.all(
        db.execute(TOKEN.select().where(token.c.account_id == account_id).order_by(token.c.created_at.desc()))
    )


def used(db: Connection, token_id: str, every: timedelta = timedelta(minutes=1)) -> None:
    """Note that a token was used, at most once per `every`, so that a busy client does not write on each request."""
    old = or_(token.c.last_used_at.is_(None), token.c.last_used_at < db_now(-every))
    db.execute(update(token).where(token.c.id == token_id, old).values(last_used_at=db_now()))


def revoke(db: Connection, token_ids: Sequence[str]) -> int:
    """Make tokens invalid from now on; return how many were valid."""
    change = update(token).where(token.c.id.in_(token_ids), token.c.revoked_at.is_(None))
    return db.execute(change.values(revoked_at=db_now())).rowcount


def revoke_all(db: Connection, account_id: int, kind: str | None = None) -> int:
    """Make every token of an account invalid (of one kind if given): after a password change, or a theft."""
    change = update(token).where(token.c.account_id == account_id, token.c.revoked_at.is_(None))
    change = change if kind is None else change.where(token.c.kind == kind)
    return db.execute(change.values(revoked_at=db_now())).rowcount


def prune(db: Connection, before: datetime) -> int:
    """Forget tokens that ended before `before`, and login failures that old; return how many tokens."""
    db.execute(delete(login_failure).where(login_failure.c.window_start < before))
    old = or_(token.c.expires_at < before, token.c.revoked_at < before)
    return db.execute(delete(token).where(old)).rowcount


def failed(db: Connection, key: str, window: timedelta) -> int:
    """Count a failed login of `key` (a name or an address); return how many there were in this window."""
    statement = insert(db, login_failure).values(key=key, count=1, window_start=db_now())
    over = login_failure.c.window_start < db_now(-window)
    statement = statement.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "count": case((over, 1), else_=login_failure.c.count + 1),
            "window_start": case((over, db_now()), else_=login_failure.c.window_start),
        },
    )
    number: int = db.execute(statement.returning(login_failure.c.count)).scalar_one()
    return number


def failures(db: Connection, key: str, window: timedelta) -> int:
    """How many logins of `key` failed in the running window."""
    recent = login_failure.c.window_start >= db_now(-window)
    query = select(login_failure.c.count).where(login_failure.c.key == key, recent)
    return db.execute(query).scalar_one_or_none() or 0


def succeeded(db: Connection, key: str) -> None:
    """Forget the failures of `key`."""
    db.execute(delete(login_failure).where(login_failure.c.key == key))
