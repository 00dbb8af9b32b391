"""The words of signing in, and what it needs from a database. Implemented by service.auth.storage."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol


class CredentialKind(StrEnum):
    SESSION = "session"
    """Made by a login; ends by itself."""
    API = "api"
    """Made on purpose, for a machine."""


@dataclass(frozen=True)
class Account:
    """Somebody who can sign in. Without a password hash nobody can, by password."""

    id: int
    name: str
    roles: tuple[str, ...] = ()
    password_hash: str = field(default="", repr=False)
    enabled: bool = True
    initial_password: bool = False
    """The password is still the one that came with the account."""


@dataclass(frozen=True)
class Credential:
    """A session or API token on record; its secret is known to its holder only."""

    id: str
    kind: CredentialKind
    account: Account
    expires_at: datetime | None = None
    note: str = ""


@dataclass(frozen=True)
class NewCredential:
    """A session or API token to be saved. `hashed` is of its secret; no `lifetime` means until it is revoked."""

    id: str
    hashed: str
    kind: CredentialKind
    lifetime: timedelta | None = None
    note: str = ""


class Accounts(Protocol):
    """Durable and shared by all processes; times are the database's. Every method may raise Temporary."""

    def find(self, name: str) -> Account | None:
        """The account of this name, enabled or not."""

    def add(self, name: str, roles: tuple[str, ...], password_hash: str) -> Account | None:
        """Make an account; None if the name is taken."""

    def set_roles(self, name: str, roles: tuple[str, ...]) -> bool:
        """Give other roles and revoke every credential; False if there is no such account."""

    def set_password(self, name: str, password_hash: str) -> bool:
        """Set another password and revoke every credential; False if there is no such account."""

    def set_enabled(self, name: str, enabled: bool) -> bool:
        """Let in or lock out; locking out revokes every credential. False if there is no such account."""

    def issue(self, account: Account, new: NewCredential) -> None:
        """Save a credential."""

    def by_hash(self, hashed: str) -> Credential | None:
        """The credential with this hash, if it is valid now: not expired or revoked, its account enabled."""

    def credentials(self, account: Account) -> tuple[Credential, ...]:
        """The valid credentials of an account, the newest first."""

    def revoke(self, credential_id: str) -> None:
        """Make a credential invalid from now on."""

    def failed(self, key: str, window: timedelta) -> int:
        """Count a failed login of `key`; return how many there were in the running window, this one included."""

    def failures(self, key: str, window: timedelta) -> int:
        """How many logins of `key` failed in the running window."""

    def succeeded(self, key: str) -> None:
        """Forget the failures of `key`."""
