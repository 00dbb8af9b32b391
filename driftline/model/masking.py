"""The one masker: what may be shown of objects, drift, texts and events. All that leaves sealed storage passes here.

An object exists *sealed* (complete, read only where it is applied) or *masked* (rows, logs, API, alerts, Sentry).
Masked values keep equality visible, as Argo CD does (CMP-14): where several versions are masked together, the first
distinct value of a key reads `++++++++` and each further one is four pluses longer. Nothing here raises, whatever shape
it is given.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import orjson

from driftline.model.digests import canonical
from driftline.model.drift import ABSENT, FieldDrift
from driftline.model.objects import Key, Object
from driftline.model.scrubbing import HIDDEN, scrub, sensitive_name

__all__ = ["HIDDEN", "mask_drift", "mask_message", "mask_object", "mask_together", "scrub", "scrub_value"]

PLUSES = "+" * 8
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
COPIES = frozenset(
    {LAST_APPLIED, "kapp.k14s.io/original", "objectset.rio.cattle.io/applied", "banzaicloud.com/last-applied"}
)
"""Annotations in which tools keep a copy of the whole object."""

_SECTIONS = ("data", "stringData")
_LISTS_DEEP = 4
_NODES = 20_000
_DEEP = 40


class _Pluses:
    """Gives each distinct value of one place the same run of pluses wherever it appears."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], dict[str, str]] = {}

    def hide(self, section: str, key: str, value: Any) -> str:
        known = self._seen.setdefault((section, key), {})
        return known.setdefault(_fingerprint(value), PLUSES + "++++" * len(known))


def mask_object(body: Object, annotations: Collection[str] = ()) -> Object:
    """One object without what is secret in it; the same object if nothing is.

    Masked are values of a Secret's `data` and `stringData`, copies of them in its annotations, and on any kind the
    annotations named by `annotations`. Lists are masked item by item.
    """
    return mask_together(body, annotations=annotations)[0]


def mask_together(*bodies: Object, annotations: Collection[str] = ()) -> tuple[Object, ...]:
    """Several versions of one object (say: desired, live), masked so that equal values still look equal."""
    return tuple(_mask_all(bodies, frozenset(annotations), 0))


def _mask_all(bodies: Iterable[Any], listed: frozenset[str], depth: int) -> list[Any]:
    pluses = _Pluses()
    versions = list(bodies)
    bare = [_mask_lists(body, listed, depth) if _is_list(body) else _mask_data(body, pluses) for body in versions]
    # Copies come last: the versions themselves get the shortest runs, as in Argo CD.
    return [_mask_annotations(masked, body, pluses, listed) for masked, body in zip(bare, versions, strict=True)]


def _is_list(body: Any) -> bool:
    return (
        isinstance(body, dict)
        and isinstance(body.get("items"), list)
        and (not _kind(body) or _kind(body).endswith("list"))
    )


def _mask_lists(body: Object, listed: frozenset[str], depth: int) -> Object:
    if depth >= _LISTS_DEEP:
        return {**body, "items": PLUSES}
    return {**body, "items": [_mask_all([item], listed, depth + 1)[0] for item in body["items"]]}


def _mask_data(body: Any, pluses: _Pluses) -> Any:
    if not _is_secret(body):
        return body
    return {**body, **{name: _mask_section(name, body[name], pluses) for name in _SECTIONS if name in body}}


def _mask_section(name: str, section: Any, pluses: _Pluses) -> Any:
    if section is None:
        return None
    if not isinstance(section, dict):
        return pluses.hide(name, "", section)
    return {key: pluses.hide(name, str(key), value) for key, value in section.items()}


def _mask_annotations(masked: Any, body: Any, pluses: _Pluses, listed: frozenset[str]) -> Any:
    """Hide listed annotations, and for a Secret every annotation that repeats some of it."""
    metadata = masked.get("metadata") if isinstance(masked, dict) else None
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    if not isinstance(annotations, dict) or not isinstance(metadata, dict):
        return masked
    secret = _is_secret(body)
    values = [value for value in _values(body) if len(value) >= 6] if secret else []
    shown: dict[Any, Any] = {}
    for name, value in annotations.items():
        if name in listed:
            shown[name] = pluses.hide("annotations", str(name), value)
        elif name in COPIES and (secret or listed):
            shown[name] = _mask_copy(value, _kind(body), pluses, listed)
        else:
            repeats = isinstance(value, str) and any(known in value for known in values)
            shown[name] = PLUSES if repeats else value
    return masked if shown == annotations else {**masked, "metadata": {**metadata, "annotations": shown}}


def _mask_copy(value: Any, kind: str, pluses: _Pluses, listed: frozenset[str]) -> str:
    try:
        copy = orjson.loads(value)
        if not isinstance(copy, dict):
            return PLUSES
        # What the copy calls itself does not matter: it stands on a Secret, so it is one.
        masked = _mask_data({**copy, "kind": "Secret"} if kind == "secret" else copy, pluses)
        return orjson.dumps(_mask_annotations(masked, copy, pluses, listed | COPIES)).decode()
    except (ValueError, TypeError, RecursionError):
        return PLUSES


def _kind(body: Mapping[str, Any]) -> str:
    kind = body.get("kind")
    return kind.strip().lower() if isinstance(kind, str) else ""


def _is_secret(body: Any) -> bool:
    return isinstance(body, Mapping) and _kind(body) == "secret"


def _values(body: Any) -> tuple[str, ...]:
    """Every secret text in a Secret, as written and base64-decoded, longest first."""
    found: set[str] = set()
    for name in _SECTIONS:
        section = body.get(name) if isinstance(body, dict) else None
        for value in section.values() if isinstance(section, dict) else [section]:
            if value is None or isinstance(value, bool):
                continue
            found.add(str(value) if isinstance(value, str | int | float) else _fingerprint(value))
            if isinstance(value, str):
                try:
                    found.add(base64.b64decode(value, validate=True).decode())
                except (binascii.Error, ValueError):
                    pass
    return tuple(sorted(found - {""}, key=lambda text: (-len(text), text)))


def _fingerprint(value: Any) -> str:
    try:
        return canonical(value).decode()
    except (TypeError, ValueError, RecursionError):
        # Too deep, too large a number or broken Unicode: all that is lost is whether two such values are equal.
        return value if isinstance(value, str) else f"?{type(value).__name__}"


def mask_message(text: str, *bodies: Mapping[str, Any]) -> str:
    """An error text about Secrets without their values; for other objects the same as `scrub`.

    API servers quote the offending value. Whatever follows `Invalid value` and every value of `bodies` goes.
    """
    hidden = [body for body in bodies if _is_secret(body)]
    for body in hidden:
        for value in _values(body):
            # One or two characters would take the whole sentence apart.
            text = text.replace(value, HIDDEN) if len(value) > 2 else text
    if hidden:
        text = re.sub(r"(Invalid value: )[^\n]*?(?=: |\n|\Z)", rf"\1{HIDDEN}", text)
    return scrub(text)


def mask_drift(
    key: Key, fields: Iterable[FieldDrift], secret: bytes = b"", annotations: Collection[str] = ()
) -> tuple[FieldDrift, ...]:
    """Fields of one object, fit to be shown: secret values become pluses and a tail that tells two values apart.

    Secret are a Secret's fields outside its metadata, copies in annotations, the annotations named by `annotations`,
    and paths such as `env[DB_PASSWORD].value`; other values are scrubbed. `secret` keys the tail (`++++++++ #a1b2c3`),
    so that it cannot be guessed offline; without it only the length of the pluses tells `live` from `desired`.
    """
    hidden = COPIES | frozenset(annotations)
    return tuple(_mask_field(key, item, secret, hidden) for item in fields)


def _mask_field(key: Key, item: FieldDrift, secret: bytes, annotations: frozenset[str]) -> FieldDrift:
    if _hidden_path(key, item.path) or any(name in item.path for name in annotations):
        return _both_hidden(key, item, secret)
    desired, live = _shown(key, item.desired, annotations), _shown(key, item.live, annotations)
    scrubbed = (desired, live) != (item.desired, item.live)
    if scrubbed and desired == live:
        return _both_hidden(key, item, secret)  # what differed is what was taken out
    return replace(item, desired=desired, live=live) if scrubbed else item


def _both_hidden(key: Key, item: FieldDrift, secret: bytes) -> FieldDrift:
    same = _fingerprint(item.desired) == _fingerprint(item.live)
    runs = (PLUSES, PLUSES if same else PLUSES + "++++")
    values = (
        value if value is None or value == ABSENT else run + _tail(key, item.path, value, secret)
        for value, run in zip((item.desired, item.live), runs, strict=True)
    )
    desired, live = values
    return replace(item, desired=desired, live=live)


def _tail(key: Key, path: str, value: Any, secret: bytes) -> str:
    if not secret:
        return ""
    content = f"{key.id}\n{path}\n{_fingerprint(value)}".encode("utf-8", "surrogatepass")
    return f" #{hmac.new(secret, content, hashlib.sha256).hexdigest()[:6]}"


def _hidden_path(key: Key, path: str) -> bool:
    words = re.findall(r"[\w-]+", path[-512:])
    if _secret_kind(key) and not re.match(r"\W*(?:metadata|type|immutable|kind|apiVersion)\b", path):
        return bool(words)
    if words[-1:] == ["value"]:
        words.pop()
    return bool(words) and sensitive_name(words[-1])


def _secret_kind(key: Key) -> bool:
    return key.kind.strip().lower() == "secret"


def _shown(key: Key, value: Any, annotations: frozenset[str]) -> Any:
    if isinstance(value, dict) and _secret_kind(key):
        value = _mask_data({**value, "kind": "Secret"}, _Pluses()) if set(_SECTIONS) & set(value) else value
        value = _without(value, annotations, 0)
    return scrub_value(value)


def _without(value: dict[str, Any], names: frozenset[str], depth: int) -> dict[str, Any]:
    """A piece of an object, without the annotations that `names` lists."""
    return {
        name: PLUSES
        if name in names
        else _without(item, names, depth + 1)
        if isinstance(item, dict) and depth < 3
        else item
        for name, item in value.items()
    }


def scrub_value(value: Any) -> Any:
    """A JSON-like value without credentials: texts scrubbed, values under telling names hidden, Secrets masked.

    Tuples and sets become lists; other objects their scrubbed `str`. Deeper than 40 levels or beyond 20,000 values it
    is cut. Used for log and Sentry events and for the facts of alerts.
    """
    return _scrub(value, [_NODES], 0, hide=False)


def _scrub(value: Any, left: list[int], depth: int, hide: bool) -> Any:
    left[0] -= 1
    if value is None or isinstance(value, bool | date | timedelta | UUID):
        return value
    if left[0] < 0 or depth > _DEEP:
        return "\u2026"
    if isinstance(value, Mapping):
        return _scrub_mapping(value, left, depth, hide)
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes | bytearray):
        return [_scrub(item, left, depth + 1, hide) for item in value]
    if hide:
        return HIDDEN
    return value if isinstance(value, int | float) else scrub(_text(value))


def _scrub_mapping(value: Mapping[Any, Any], left: list[int], depth: int, hide: bool) -> dict[Any, Any]:
    if _is_secret(value):
        value = mask_object(dict(value))
    named = value.get("name")
    telling = "value" in value and isinstance(named, str) and sensitive_name(named)
    return {
        scrub(name) if isinstance(name, str) else _text(name): _scrub(
            item,
            left,
            depth + 1,
            hide or (telling and name == "value") or (isinstance(name, str) and sensitive_name(name)),
        )
        for name, item in value.items()
    }


def _text(value: Any) -> str:
    try:
        return value.decode("utf-8", "replace") if isinstance(value, bytes | bytearray) else str(value)
    except Exception as error:  # a broken __str__ must not break the log
        return f"<{type(value).__name__}: {type(error).__name__}>"
