"""What a verdict on an object was computed from, as a key under which it may be kept."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from driftline.drift.fields import entries_of
from driftline.model.digests import canonical, digest, digest_bytes

LIFETIME: Final = timedelta(hours=6)
"""How long the verdict of a dry run is believed: admission is not in the key."""

_VOLATILE: Final = frozenset({"resourceVersion", "generation", "managedFields"})


def live_digest(live: Mapping[str, Any]) -> str:
    """A digest of what a verdict depends on: content without status, and who holds which fields, but not since when."""
    body = {name: value for name, value in live.items() if name != "status"}
    metadata = live.get("metadata") or {}
    body["metadata"] = {name: value for name, value in metadata.items() if name not in _VOLATILE}
    held = [[_holder(entry), _held(entry)] for entry in entries_of(live)]
    return digest_bytes(canonical([body, held]))


def verdict_key(desired_digest: str, uid: str, live_digest: str, schema_hash: str) -> str:
    """The key of a verdict. `schema_hash` is the group version's `hash=` in the list of OpenAPI v3 documents."""
    return digest([desired_digest, uid, live_digest, schema_hash])


def expires(key: str, judged_at: datetime) -> datetime:
    """When the dry run behind a verdict has to be repeated: up to a tenth earlier than others, so that not all fall due
    together."""
    return judged_at + LIFETIME * (1 - int(key[:8], 16) / 16**8 / 10)


def expired(key: str, judged_at: datetime, now: datetime) -> bool:
    """Whether the verdict of a dry run is too old to be believed."""
    return now >= expires(key, judged_at)


def _holder(entry: Mapping[str, Any]) -> list[Any]:
    return [entry.get(name) for name in ("manager", "operation", "subresource", "apiVersion")]


def _held(entry: Mapping[str, Any]) -> Any:
    fields = entry.get("fieldsV1") or {}
    # Who writes which condition changes all the time and decides nothing.
    return {name: value for name, value in fields.items() if name != "f:status"} if "f:status" in fields else fields
