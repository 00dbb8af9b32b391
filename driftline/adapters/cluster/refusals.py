"""Turns what an API server answers into the two failures that everybody knows. The only place that reads its errors."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from driftline.model.cluster import ApiRefused, ClusterUnreachable, Refusal
from driftline.model.errors import Failure, Temporary
from driftline.model.objects import Key

_WEBHOOK_DENIED = re.compile(r'admission webhook "([^"]+)" denied the request(?: without explanation)?:? ?(.*)', re.S)
_WEBHOOK_FAILED = re.compile(r'failed calling webhook "([^"]+)"')
_POLICY_DENIED = re.compile(r"ValidatingAdmissionPolicy '([^']+)'.*? denied request:? ?(.*)", re.S)
_CONVERSION = re.compile(r"conversion webhook for (\S+)")
_UNTYPED = ("typed patch object", "typed live object", "to proper version", "failed to convert new object")
_TYPED_FIELD = re.compile(r"\): (?P<path>\.[^:]+): (?P<what>[^&]+?)(?:, got .*)?$", re.S)
_IMMUTABLE = re.compile(
    r"immutable|may not (?:change|be changed|be modified|be updated)|cannot (?:change|be changed|be modified)"
    r"|updates to \w+ spec for fields other than|may not change fields other than",
    re.I,
)
_OBJECT_TOO_LARGE = frozenset({"[]", "data", "metadata.annotations", ""})
_REASONS = {
    "FieldValueRequired": "is required",
    "FieldValueInvalid": "has an invalid value",
    "FieldValueDuplicate": "is a duplicate",
    "FieldValueNotFound": "names something that does not exist",
    "FieldValueNotSupported": "has a value that is not supported",
    "FieldValueForbidden": "is not allowed here",
    "FieldValueTooLong": "is too long",
    "FieldValueTypeInvalid": "has the wrong type",
}


UNASKED = timedelta(seconds=10)
"""The wait after which to try again when the server named none."""


class Expired(ClusterUnreachable):
    """410: the resourceVersion or continue token to go on from is too old; only starting again helps."""


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked for: messages name it. A LIST or a watch has no name in its key."""

    cluster: str
    key: Key
    api_version: str = ""
    verb: str = "get"

    @property
    def confidential(self) -> bool:
        """Whether the object's values are secret, so that the server's own words cannot be repeated."""
        return self.key.kind == "Secret" and not self.key.group

    def __str__(self) -> str:
        return str(self.key) if self.key.name or self.key.kind else f"cluster {self.cluster}"


@dataclass(frozen=True, slots=True)
class Answer:
    """The parts of a Kubernetes Status that matter. A body that is none leaves `is_status` false."""

    code: int
    is_status: bool = False
    reason: str = ""
    message: str = ""
    causes: tuple[tuple[str, str, str], ...] = ()
    """(reason, field, message) of each."""
    kind: str = ""
    name: str = ""

    @classmethod
    def read(cls, code: int, body: bytes) -> "Answer":
        try:
            status = orjson.loads(body)
        except orjson.JSONDecodeError:
            return cls(code)
        if not isinstance(status, dict) or status.get("kind") != "Status":
            return cls(code)
        details = status.get("details") or {}
        causes = tuple(
            (str(cause.get("reason", "")), str(cause.get("field", "")), str(cause.get("message", "")))
            for cause in details.get("causes") or ()
        )
        texts = (str(status.get("reason", "")), str(status.get("message", "")))
        return cls(code, True, *texts, causes, str(details.get("kind", "")), str(details.get("name", "")))


def retry_after(headers: Mapping[str, str]) -> timedelta:
    """The wait that a server asks for: 10 s if it names none, 5 minutes at most. Source: RFC 9110, 10.2.3."""
    asked = headers.get("Retry-After") or headers.get("retry-after") or ""
    return timedelta(seconds=min(int(asked), 300)) if asked.isdecimal() else UNASKED


def is_absent(call: Call, answer: Answer) -> bool:
    """Whether a 404 is about the object itself, and neither about its kind nor about its namespace."""
    if answer.code != 404 or not answer.is_status or not call.key.name or answer.name != call.key.name:
        return False
    return answer.kind != "namespaces" or call.key.kind == "Namespace"


def translate(call: Call, answer: Answer, headers: Mapping[str, str]) -> Failure:
    """The failure that an answer without success stands for; used as `raise translate(...)`."""
    if answer.code < 400:
        text = (
            f"{call}: what answers for cluster {call.cluster} redirects (status {answer.code}); correct its server URL"
        )
        return ClusterUnreachable(text)
    if answer.code == 410:
        return Expired(f"{call}: cluster {call.cluster} no longer knows the point to go on from")
    for rule in _RULES:
        if failure := rule(call, answer):
            return failure
    if answer.code >= 500 or answer.code == 429:
        what = _unavailable(answer)
        return ClusterUnreachable(f"{call}: {what} (cluster {call.cluster})", retry_after(headers))
    return ApiRefused(f"{call}: {_words(call, answer)}", Refusal.INVALID)


def _unavailable(answer: Answer) -> str:
    known = {429: "the API server is overloaded", 503: "the API server is not available", 504: "it timed out"}
    return known.get(answer.code, f"the API server failed with status {answer.code}")


def _admission(call: Call, answer: Answer) -> Failure | None:
    """Policies and webhooks: they answer with any code, so their words decide."""
    if failed := _WEBHOOK_FAILED.search(answer.message):
        return Temporary(f"{call}: the admission webhook {failed[1]} does not answer; see whether its Pods run")
    if conversion := _CONVERSION.search(answer.message):
        return Temporary(f"{call}: the conversion webhook for {conversion[1].rstrip(',')} does not answer")
    for pattern, what in ((_WEBHOOK_DENIED, "admission webhook"), (_POLICY_DENIED, "admission policy")):
        if denied := pattern.search(answer.message):
            why = "" if call.confidential or not denied[2] else f": {_one_line(denied[2])}"
            return ApiRefused(f"{call}: refused by the {what} {denied[1]}{why}", Refusal.FORBIDDEN)
    return None


def _unauthorized(call: Call, answer: Answer) -> Failure | None:
    if answer.code != 401:
        return None
    text = f"{call}: cluster {call.cluster} does not accept our credentials; renew them"
    return ApiRefused(text, Refusal.UNAUTHORIZED)


def _forbidden(call: Call, answer: Answer) -> Failure | None:
    if answer.code != 403:
        return None
    if any(reason == "NamespaceTerminating" for reason, _, _ in answer.causes):
        text = f"{call}: namespace {call.key.namespace} is being deleted; wait until it is gone"
        return ApiRefused(text, Refusal.NAMESPACE_TERMINATING)
    why = answer.message.partition(" is forbidden: ")[2] or answer.message
    # Whom permission was refused, and which quota is full, holds nothing of the object; other texts may.
    if call.confidential and not why.startswith(("User ", "exceeded quota")):
        why = "the API server forbids it"
    return ApiRefused(f"{call}: {_one_line(why)}", Refusal.FORBIDDEN)


def _not_found(call: Call, answer: Answer) -> Failure | None:
    if answer.code != 404:
        return None
    if is_absent(call, answer):
        return ApiRefused(f"{call}: it does not exist any more", Refusal.CONFLICT)
    if answer.is_status and answer.kind == "namespaces":
        text = f"{call}: namespace {call.key.namespace} does not exist; create it, or sync with CreateNamespace=true"
        return ApiRefused(text, Refusal.NAMESPACE_MISSING)
    text = f"{call}: the API server serves no {call.key.kind} in {call.api_version}; is its CRD installed?"
    return ApiRefused(text, Refusal.KIND_NOT_SERVED)


def _conflict(call: Call, answer: Answer) -> Failure | None:
    if answer.code != 409:
        return None
    if answer.reason == "AlreadyExists":
        return ApiRefused(f"{call}: it exists already", Refusal.EXISTS)
    held = [
        f"{field} by {who.removeprefix('conflict with ')}"
        for reason, field, who in answer.causes
        if reason == "FieldManagerConflict"
    ]
    if held:
        return ApiRefused(f"{call}: other managers hold fields: {_list(held)}", Refusal.CONFLICT)
    if "uid" in answer.message.lower():
        return ApiRefused(f"{call}: the object we know is gone (another uid, or none)", Refusal.CONFLICT)
    return ApiRefused(f"{call}: it changed since it was read", Refusal.CONFLICT)


def _too_large(call: Call, answer: Answer) -> Failure | None:
    long = [field for reason, field, _ in answer.causes if reason == "FieldValueTooLong"]
    whole = answer.code == 422 and any(field in _OBJECT_TOO_LARGE for field in long)
    if whole or answer.code == 413 or "request is too large" in answer.message or "larger than max" in answer.message:
        text = f"{call}: it is larger than the API server accepts (about 1 MiB, annotations 256 KiB); split it"
        return ApiRefused(text, Refusal.TOO_LARGE)
    return None


def _unprocessable(call: Call, answer: Answer) -> Failure | None:
    if answer.code != 422:
        return None
    if any(field == "metadata.uid" for _, field, _ in answer.causes):
        return ApiRefused(f"{call}: an object of this name with another uid is in its place", Refusal.CONFLICT)
    if call.verb == "json patch" and not answer.causes:
        return ApiRefused(f"{call}: it changed since it was read: the patch no longer fits", Refusal.CONFLICT)
    fixed = [field for _, field, message in answer.causes if _IMMUTABLE.search(message)]
    if fixed:
        text = f"{call}: {_list(fixed)} cannot change; allow recreate to replace the object"
        return ApiRefused(text, Refusal.IMMUTABLE)
    return ApiRefused(f"{call}: {_words(call, answer)}", Refusal.INVALID)


def _unapplicable(call: Call, answer: Answer) -> Failure | None:
    if answer.code in (405, 415) and call.verb == "apply":
        return ApiRefused(f"{call}: its API has no server-side apply", Refusal.NO_APPLY)
    if answer.code != 500 or not any(text in answer.message for text in _UNTYPED):
        return None
    field = _TYPED_FIELD.search(answer.message)
    where = f": {field['path'].lstrip('.')}: {_one_line(field['what'])}" if field else ""
    if not where and not call.confidential:
        where = f": {_one_line(answer.message)}"
    return ApiRefused(f"{call}: it does not fit its schema{where}", Refusal.UNAPPLICABLE)


_RULES: Sequence[Callable[[Call, Answer], Failure | None]] = (
    _admission,
    _unauthorized,
    _too_large,
    _forbidden,
    _not_found,
    _conflict,
    _unprocessable,
    _unapplicable,
)


def _words(call: Call, answer: Answer) -> str:
    """What is wrong, without values: of a Secret only the names of fields, else the server's words after the value."""
    parts = []
    for reason, field, message in answer.causes[:5]:
        told = "" if call.confidential else _without_value(message)
        parts.append(f"{field} {_REASONS.get(reason, 'is wrong')}{f' ({told})' if told else ''}".strip())
    if parts:
        return "; ".join(parts)
    if call.confidential or not answer.message:
        return f"the API server refused it with status {answer.code}"
    return _one_line(answer.message)


def _without_value(message: str) -> str:
    """The explanation in `Invalid value: {...}: field is immutable`; a cause without one explains nothing."""
    kind, _, rest = message.partition(": ")
    if kind not in ("Invalid value", "Unsupported value", "Duplicate value", "Not found", "Too long", "Too many"):
        return _one_line(message.removeprefix("Required value").removeprefix("Forbidden").lstrip(": "))
    try:
        end = len(rest) - len(_after_json(rest))
    except ValueError:
        end = max(rest.rfind(": "), 0)
    return _one_line(rest[end:].lstrip(": "))


def _after_json(text: str) -> str:
    import json

    _, end = json.JSONDecoder().raw_decode(text)
    return text[end:]


def _list(items: Sequence[str]) -> str:
    shown = ", ".join(items[:5])
    return shown if len(items) <= 5 else f"{shown} and {len(items) - 5} more"


def _one_line(text: str) -> str:
    """The first line: what follows it in the API server's messages is a diff, with values."""
    line = text.partition("\n")[0].strip()
    return line if len(line) <= 500 else f"{line[:500]}..."


def from_transport(call: Call, server: str, error: Exception) -> ClusterUnreachable:
    """No answer at all. The client's own text is not repeated: it holds URLs and addresses of proxies."""
    return ClusterUnreachable(f"{call}: cluster {call.cluster} at {server}: {_transport_words(error)}")


def _transport_words(error: Any) -> str:
    name = type(error).__name__
    known = {
        "ConnectTimeoutError": "no connection within the time allowed",
        "ReadTimeoutError": "no answer within the time allowed",
        "NameResolutionError": "its name cannot be resolved",
        "NewConnectionError": "the connection was refused",
        "SSLError": "its certificate was not accepted, or ours by it",
        "ProxyError": "its proxy cannot be reached",
        "ProtocolError": "the connection was cut",
        "IncompleteRead": "the connection was cut",
    }
    return known.get(name, f"the connection failed ({name})")
