"""One spelling of 'the same content', used for desired objects, live objects, plans and renders."""

import hashlib
from typing import Any

import orjson


def canonical(value: Any) -> bytes:
    """JSON with sorted keys: equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def digest(value: Any) -> str:
    """32 hex digits of the SHA-256 of the canonical JSON of `value`."""
    return digest_bytes(canonical(value))


def digest_bytes(content: bytes) -> str:
    """32 hex digits of the SHA-256 of `content`."""
    return hashlib.sha256(content).hexdigest()[:32]
