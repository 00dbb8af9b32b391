"""Sign in, out, and be recognised. Called by service.auth.guard and service.auth.routes, and the command line."""

import ipaddress
import re
import threading
from dataclasses import dataclass, field
from datetime import timedelta

from driftline.model.errors import Permanent
from service.auth import passwords, tokens
from service.auth.accounts import Account, Accounts, Credential, CredentialKind, NewCredential

ACCOUNT_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
LONGEST_TOKEN = timedelta(days=3653)
WAITING = 16
"""Logins that may be checked or wait to be; the web server's other threads stay free for webhooks."""


@dataclass(frozen=True)
class Throttle:
    """How many failed logins are let through per window. After that even the right password is refused."""

    per_account: int = 5
    per_address: int = 20
    """Larger, because a whole office may share one address."""
    window: timedelta = timedelta(seconds=300)


@dataclass(frozen=True)
class SignedIn:
    """A new session: its token goes to the browser or client and nowhere else."""

    account: Account
    token: str = field(repr=False)


class TooManyLogins(Exception):
    """More logins at once than can be checked; try again in a moment."""


class Sessions:
    """Signing in over one set of accounts. One per process; safe to use from many threads."""

    def __init__(
        self, accounts: Accounts, lifetime: timedelta = timedelta(hours=24), throttle: Throttle = Throttle()
    ) -> None:
        self.accounts = accounts
        self.lifetime = lifetime
        self._throttle = throttle
        self._waiting = threading.BoundedSemaphore(WAITING)
        self._one = threading.Lock()

    def login(self, name: str, password: str, address: str) -> SignedIn | None:
        """Open a session if `check` finds the account. Raises TooManyLogins."""
        account = self.check(name, password, address)
        return self.open(account) if account else None

    def check(self, name: str, password: str, address: str) -> Account | None:
        """The account whose name and password these are.

        None for a wrong name, a wrong password, a locked account and after too many failures of the account or of the
        address: told apart by nothing. Raises TooManyLogins.
        """
        if not self._waiting.acquire(blocking=False):
            raise TooManyLogins
        try:
            # One at a time: otherwise many guesses sent together would all pass before the first failure is counted.
            with self._one:
                return self._check(name, password, address)
        finally:
            self._waiting.release()

    def _check(self, name: str, password: str, address: str) -> Account | None:
        by_name, by_address = f"account:{name}", f"address:{_network(address)}"
        known = ACCOUNT_NAME.fullmatch(name) is not None
        limits = self._throttle
        if self.accounts.failures(by_address, limits.window) >= limits.per_address:
            return None
        if known and self.accounts.failures(by_name, limits.window) >= limits.per_account:
            return None
        account = self.accounts.find(name) if known else None
        # An unknown name costs the same work as a known one, so that time does not tell which names exist.
        hashed = account.password_hash if account and account.enabled else ""
        if passwords.is_right(password, hashed):
            self.accounts.succeeded(by_name)
            return account
        self.accounts.failed(by_address, limits.window)
        if known:
            self.accounts.failed(by_name, limits.window)
        return None

    def open(self, account: Account) -> SignedIn:
        """A new session of an account that has proved itself."""
        token = tokens.new_token(CredentialKind.SESSION)
        new = NewCredential(tokens.new_id(), tokens.hashed(token), CredentialKind.SESSION, self.lifetime)
        self.accounts.issue(account, new)
        return SignedIn(account, token)

    def identify(self, token: str) -> Credential | None:
        """Whose token this is, if it is valid now."""
        return self.accounts.by_hash(tokens.hashed(token)) if tokens.is_token(token) else None

    def logout(self, token: str) -> None:
        """End the session of a token; what is none is ignored."""
        if found := self.identify(token):
            self.accounts.revoke(found.id)

    def set_password(self, name: str, password: str) -> Account:
        """Set a password and end every session and token of the account.

        Raises Permanent for a password that will not do and for an unknown account.
        """
        if wrong := passwords.complaint(password):
            raise Permanent(f"account {name}: {wrong}")
        changed = self.find(name) and self.accounts.set_password(name, passwords.hash_password(password))
        account = self.find(name) if changed else None
        if account is None:
            raise Permanent(f"account {name[:70]}: there is no such account")
        return account

    def find(self, name: str) -> Account | None:
        """The account of this name. What cannot be a name is not looked up."""
        return self.accounts.find(name) if ACCOUNT_NAME.fullmatch(name) else None

    def create_token(self, name: str, lifetime: timedelta | None, note: str = "") -> tuple[Credential, str]:
        """Make an API token, valid for `lifetime` or until it is revoked; the second value is its secret, shown once.

        Raises Permanent for an unknown or locked account, and for a lifetime over ten years.
        """
        if lifetime is not None and lifetime > LONGEST_TOKEN:
            raise Permanent(f"account {name[:70]}: a token ends within ten years, or never")
        account = self.find(name)
        if account is None or not account.enabled:
            raise Permanent(f"account {name[:70]}: there is no such account, or it is locked")
        token = tokens.new_token(CredentialKind.API)
        new = NewCredential(tokens.new_id(), tokens.hashed(token), CredentialKind.API, lifetime, _one_line(note))
        self.accounts.issue(account, new)
        return Credential(new.id, new.kind, account, note=new.note), token

    def create_account(self, name: str, roles: tuple[str, ...], password: str) -> Account:
        """Make an account. Raises Permanent for a name or password that will not do, and for a name that is taken."""
        if not ACCOUNT_NAME.fullmatch(name):
            raise Permanent(f"account {name[:70]!r}: a name has 1 to 64 letters, digits and . _ @ + -")
        if wrong := passwords.complaint(password):
            raise Permanent(f"account {name}: {wrong}")
        account = self.accounts.add(name, roles, passwords.hash_password(password))
        if account is None:
            raise Permanent(f"account {name}: exists already")
        return account


def first_admin(accounts: Accounts) -> str | None:
    """Make the account `admin` with a random password and return that, to be shown once; None if it exists already."""
    password = passwords.random_password()
    made = accounts.add("admin", ("role:admin",), passwords.hash_password(password))
    return password if made else None


def _one_line(text: str) -> str:
    return "".join(char for char in text if char.isprintable())[:200]


def _network(address: str) -> str:
    """What counts as one address: for IPv6 its /64, of which anybody has all addresses."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
