"""Encrypts what may not lie open in the database: credentials, renders, plans. Called by flow and the store's rotation.

A sealed value is `form (1 byte) | key id (4) | nonce (12) | AES-256-GCM ciphertext`. It opens only in the context it
was sealed for (which column of which row), so that it cannot be moved to another place and used there.
"""

import base64
import binascii
import hashlib
import hmac
import os
import zlib
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from driftline.model.errors import Permanent

VARIABLE = "DRIFTLINE_DATA_KEYS"
KEY_BYTES = 32

_PLAIN, _COMPRESSED = b"\x01", b"\x02"
_ID_BYTES, _NONCE_BYTES = 4, 12
_HEADER_BYTES = 1 + _ID_BYTES
_COMPRESS_LEVEL = 3


def generate_key() -> str:
    """A new key in the form of the setting: 32 random bytes as URL-safe base64."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Read `DRIFTLINE_DATA_KEYS`: keys separated by commas, the newest first. Raises Permanent, without quoting any."""
    keys: list[bytes] = []
    for position, word in enumerate((word.strip() for word in text.split(",") if word.strip()), 1):
        try:
            key = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise Permanent(
                f"{VARIABLE}: key {position} is no URL-safe base64; make one with `keys generate`"
            ) from error
        if len(key) != KEY_BYTES:
            raise Permanent(f"{VARIABLE}: key {position} has {len(key)} bytes, want {KEY_BYTES}")
        keys.append(key)
    if not keys:
        raise Permanent(f"{VARIABLE}: no key; set it to one made with `keys generate`")
    return tuple(keys)


def context(table: str, column: str, identity: str | int) -> bytes:
    """What a value of a row is sealed for. `identity` is the column that `store.rotation` names for the table."""
    return f"{table}.{column}:{identity}".encode()


class Sealer:
    """Seals with the newest key, opens with all of them. Safe to share among threads and to keep over a fork."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """`keys` are 32 bytes each, the newest first. Raises Permanent for none, or for one of another length."""
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise Permanent(f"{VARIABLE}: want at least one key, of {KEY_BYTES} bytes each")
        self._ciphers = {_key_id(key): AESGCM(key) for key in reversed(keys)}
        self._digesters = {_key_id(key).hex(): _digest_key(key) for key in keys}
        self._newest = _key_id(keys[0])

    def __repr__(self) -> str:
        return f"Sealer({len(self._ciphers)} keys)"

    def seal(self, content: bytes, where: bytes, compress: bool = False) -> bytes:
        """Encrypt for one place (see `context`). Compress only what an attacker cannot mix his own text into."""
        header = (_COMPRESSED if compress else _PLAIN) + self._newest
        nonce = os.urandom(_NONCE_BYTES)
        body = zlib.compress(content, _COMPRESS_LEVEL) if compress else content
        return header + nonce + self._ciphers[self._newest].encrypt(nonce, body, header + where)

    def open(self, sealed: bytes, where: bytes) -> bytes:
        """Decrypt what `seal` made for the same place.

        Raises Permanent if the key is not among ours, or the value was changed or belongs elsewhere.
        """
        header, rest = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
        form, key_id = header[:1], header[1:]
        if form not in (_PLAIN, _COMPRESSED) or len(rest) <= _NONCE_BYTES:
            raise Permanent(f"{_place(where)}: this is no sealed value; restore the row or enter the secret again")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise Permanent(f"{_place(where)}: sealed with key {key_id.hex()}, which {VARIABLE} does not hold; add it")
        try:
            body = cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], header + where)
        except InvalidTag as error:
            raise Permanent(f"{_place(where)}: the sealed value was changed or belongs to another row") from error
        return zlib.decompress(body) if form == _COMPRESSED else body

    def rotate(self, sealed: bytes, where: bytes) -> bytes | None:
        """The same value under the newest key, or None if it is that already. Raises as `open` does."""
        if sealed[1:_HEADER_BYTES] == self._newest:
            return None
        return self.seal(self.open(sealed, where), where, compress=sealed[:1] == _COMPRESSED)

    def plan_digest(self, content: bytes) -> str:
        """Name a plan's full form, secrets included, without giving anything of it away: `<key id>:<HMAC-SHA256>`.

        A plain hash would let anyone who sees it try out short secrets.
        """
        key_id = self._newest.hex()
        return f"{key_id}:{hmac.digest(self._digesters[key_id], content, 'sha256').hex()}"

    def digest_fits(self, content: bytes, digest: str) -> bool:
        """Whether `plan_digest` named this content, under any of our keys."""
        key_id, _, given = digest.partition(":")
        key = self._digesters.get(key_id)
        if key is None:
            return False
        return hmac.compare_digest(hmac.digest(key, content, "sha256").hex().encode(), given.encode())


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"driftline key id" + key).digest()[:_ID_BYTES]


def _digest_key(key: bytes) -> bytes:
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=b"driftline plan digest").derive(key)


def _place(where: bytes) -> str:
    return where.decode(errors="replace")
