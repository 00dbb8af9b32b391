"""Accounts in memory, with a clock that tests move; held to what the database does by the same contract tests."""

import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from service.auth.accounts import Account, Credential, NewCredential


@dataclass
class MemoryAccounts:
    """The service.auth.accounts.Accounts of one test. `forward` moves its clock."""

    now: datetime = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
    people: dict[str, Account] = field(default_factory=dict)
    saved: dict[str, Credential] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    failing: dict[str, tuple[datetime, int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def forward(self, by: timedelta) -> None:
        self.now += by

    def find(self, name: str) -> Account | None:
        return self.people.get(name)

    def add(self, name: str, roles: tuple[str, ...], password_hash: str) -> Account | None:
        if name in self.people:
            return None
        self.people[name] = Account(len(self.people) + 1, name, tuple(sorted(roles)), password_hash, True, True)
        return self.people[name]

    def set_roles(self, name: str, roles: tuple[str, ...]) -> bool:
        return self._change(name, roles=tuple(sorted(roles)))

    def set_password(self, name: str, password_hash: str) -> bool:
        return self._change(name, password_hash=password_hash, initial_password=False)

    def set_enabled(self, name: str, enabled: bool) -> bool:
        return self._change(name, revoke=not enabled, enabled=enabled)

    def issue(self, account: Account, new: NewCredential) -> None:
        ends = None if new.lifetime is None else self.now + new.lifetime
        self.saved[new.id] = Credential(new.id, new.kind, account, ends, new.note)
        self.hashes[new.hashed] = new.id

    def by_hash(self, hashed: str) -> Credential | None:
        found = self.saved.get(self.hashes.get(hashed, ""))
        return self._now(found) if found else None

    def credentials(self, account: Account) -> tuple[Credential, ...]:
        mine = [self._now(each) for each in reversed(self.saved.values()) if each.account.id == account.id]
        return tuple(each for each in mine if each)

    def revoke(self, credential_id: str) -> None:
        self.saved.pop(credential_id, None)

    def failed(self, key: str, window: timedelta) -> int:
        with self.lock:
            start, count = self.failing.get(key, (self.now, 0))
            if start < self.now - window:
                start, count = self.now, 0
            self.failing[key] = (start, count + 1)
            return count + 1

    def failures(self, key: str, window: timedelta) -> int:
        start, count = self.failing.get(key, (self.now, 0))
        return 0 if start < self.now - window else count

    def succeeded(self, key: str) -> None:
        self.failing.pop(key, None)

    def _now(self, credential: Credential) -> Credential | None:
        account = self.people[credential.account.name]
        over = credential.expires_at is not None and credential.expires_at <= self.now
        return None if over or not account.enabled else replace(credential, account=account)

    def _change(self, name: str, revoke: bool = True, **what: object) -> bool:
        account = self.people.get(name)
        if account is None:
            return False
        self.people[name] = replace(account, **what)  # type: ignore[arg-type]
        if revoke:
            self.saved = {key: each for key, each in self.saved.items() if each.account.id != account.id}
        return True
