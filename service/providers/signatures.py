"""Compare what a sender presents with what the secret makes of the body: on bytes, in constant time, never raising."""

import base64
import binascii
import hashlib
import hmac

from service.providers.host import Secret


def same(given: bytes, wanted: bytes) -> bool:
    """Whether two byte strings are equal; the time taken tells nothing, not even about their lengths."""
    return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(wanted).digest())


def header_bytes(value: str) -> bytes:
    """The bytes that stood on the wire. What cannot have come over HTTP becomes bytes that match nothing useful."""
    return value.encode("latin-1", "backslashreplace")


def signed(given: str, body: bytes, secret: Secret, prefix: str = "") -> bool:
    """Whether `given` is `prefix` and the hexadecimal HMAC-SHA256 of `body`. A missing header is an empty string."""
    wanted = prefix + hmac.digest(secret.key, body, "sha256").hex()
    return bool(secret.value) and same(header_bytes(given).lower(), wanted.encode())


def basic(given: str, secret: Secret) -> bool:
    """Whether an Authorization header carries the `user:password` of `secret` (RFC 7617)."""
    scheme, _, credentials = given.partition(" ")
    try:
        decoded = base64.b64decode(header_bytes(credentials.strip()), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    right = same(decoded, secret.key)
    return bool(secret.value) and scheme.lower() == "basic" and right
