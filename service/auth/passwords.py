"""Passwords at rest: Argon2id, checked by a few at a time. Called by service.auth.sessions."""

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 8, 256
"""Characters of a password."""

# 19 MiB and 2 passes: OWASP's minimum for Argon2id, 30 ms here. More memory would let logins exhaust the machine.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_AT_ONCE = threading.BoundedSemaphore(2)
_NOBODY = _HASHER.hash(secrets.token_urlsafe(32))


def hash_password(password: str) -> str:
    """The Argon2id hash in its standard text form, with a salt of its own."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def is_right(password: str, hashed: str) -> bool:
    """Whether `password` is the one that was hashed. An empty `hashed` takes as long and is never right."""
    with _AT_ONCE:
        try:
            return _HASHER.verify(hashed or _NOBODY, password[:LONGEST]) and bool(hashed)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False


def complaint(password: str) -> str:
    """What is wrong with a new password, for people; empty if nothing is."""
    if not SHORTEST <= len(password) <= LONGEST:
        return f"a password has {SHORTEST} to {LONGEST} characters"
    if any(ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 for char in password):
        return "a password has no control characters"
    return ""


def random_password() -> str:
    """A password that nobody can guess: 120 random bits, easy to select with a double click."""
    return secrets.token_hex(15)
