"""Take deliveries of Git hosts: check them, keep one row each, answer at once. Mounted by the web application."""

import logging
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import parse_qs

import orjson
from flask import Blueprint, Request, Response, request
from prometheus_client import Counter

from driftline.adapters.settings import Settings
from driftline.model.errors import Temporary
from driftline.model.push import Push
from service import strict_json
from service.bodies import PATIENCE, Bodies, TooLarge, TooMany, TooSlow, Unreadable
from service.providers.host import FORM, JSON, Headers, Host, Malformed, Secret
from service.providers.table import HOSTS, recognise

log = logging.getLogger(__name__)

DELIVERIES = Counter(
    "driftline_webhook_deliveries", "Webhook deliveries by Git host and answer", ["provider", "answer"]
)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
_HOOK_ID = re.compile("[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Receipt:
    """What became of a delivery: `new` is False for a redelivery, `jobs` were opened, `outcome` is for people."""

    new: bool
    jobs: int
    outcome: str


class HookSecrets(Protocol):
    """Where the secrets of webhooks are. May raise Temporary."""

    def for_header(self, provider: str) -> Sequence[Secret]:
        """The secrets of a host for /api/webhook; any of them is right. Empty: none is configured."""

    def for_hook(self, provider: str, hook_id: str) -> Secret | None:
        """The secret of one hook for /hooks/<provider>/<hook_id>; None if there is no such hook."""


Receive = Callable[[Push, str], Receipt]
"""Keeps a delivery (second argument: the hook's id, empty for /api/webhook). Raises Temporary if it cannot now."""


def secrets_in(settings: Settings, provider: str) -> list[Secret]:
    """The secret that the settings name for a host's deliveries to /api/webhook; none if it is empty or unknown."""
    value = getattr(settings, f"webhook_secret_{provider}", "") if provider in HOSTS else ""
    return [Secret(value)] if value else []


def webhooks(receive: Receive, secrets: HookSecrets, settings: Settings, patience: timedelta = PATIENCE) -> Blueprint:
    """The routes /api/webhook and /hooks/<provider>/<hook_id>. They need no session: each delivery proves itself.

    `patience` is how long the whole of a body may take to arrive.
    """
    intake = _Intake(receive, secrets, Bodies(settings.webhook_max_body, patience))
    blueprint = Blueprint("webhooks", __name__)
    for rule, endpoint, view in (
        ("/api/webhook", "by_header", intake.by_header),
        ("/hooks/<provider>/<hook_id>", "by_hook", intake.by_hook),
    ):
        blueprint.add_url_rule(rule, endpoint, view, methods=METHODS, provide_automatic_options=False)
    return blueprint


class _Refused(Exception):
    """An answer other than 202. `text` depends on nothing but the route and the kind of host that the headers name."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, headers or {}


@dataclass(frozen=True)
class _Intake:
    receive: Receive
    secrets: HookSecrets
    bodies: Bodies

    def by_header(self) -> Response:
        headers = _headers(request)
        host = recognise(headers)
        return self._answer(host, headers, lambda: self.secrets.for_header(host.name) if host else ())

    def by_hook(self, provider: str, hook_id: str) -> Response:
        host = HOSTS.get(provider) if _HOOK_ID.fullmatch(hook_id) else None

        def find() -> Sequence[Secret]:
            secret = self.secrets.for_hook(provider, hook_id) if host else None
            return (secret,) if secret else ()

        return self._answer(host, _headers(request), find, hook_id)

    def _answer(
        self, host: Host | None, headers: Headers, find: Callable[[], Sequence[Secret]], hook_id: str = ""
    ) -> Response:
        """Run the checks in their fixed order; the first that fails decides the answer."""
        name = host.name if host else "unknown"
        try:
            _check_method(request)
            kind = _check_content(host, headers)
            with self.bodies.read(request) as body:
                if host is None or not _proved(host, headers, body, find()):
                    raise _Refused(401, _unsigned(None if hook_id else host))
                receipt = self.receive(host.parse(headers, _payload(kind, body)), hook_id)
        except _Refused as refused:
            return _say(name, refused.status, refused.text, refused.headers)
        except TooLarge:
            return _say(name, 413, f"the body is larger than {self.bodies.cap} bytes")
        except TooSlow:
            return _say(name, 408, "the body did not arrive in time")
        except Unreadable:
            return _say(name, 400, "the body cannot be read")
        except TooMany:
            return _say(name, 503, "too many large deliveries at once; send it again", {"Retry-After": "10"})
        except Malformed as error:
            return _say(name, 400, str(error))
        except Temporary as error:
            wait = max(1, math.ceil(error.delay.total_seconds()))
            return _say(name, 503, "the delivery cannot be kept now; send it again", {"Retry-After": str(wait)})
        DELIVERIES.labels(name, "202").inc()
        log.debug("webhook of %s: %s", name, receipt.outcome)
        return _json(202, {"new": receipt.new, "jobs": receipt.jobs, "outcome": receipt.outcome})


def _headers(found: Request) -> Headers:
    return {name.lower(): value for name, value in found.headers.items()}


def _check_method(found: Request) -> None:
    if found.method != "POST":
        raise _Refused(405, "webhooks are delivered with POST", {"Allow": "POST"})


def _check_content(host: Host | None, headers: Headers) -> str:
    """The media type, if this host's deliveries may have it. A compressed body may unpack to anything: refused."""
    kind, _, parameters = headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]*)", parameters.lower())
    if kind not in (host.content_types if host else (JSON, FORM)):
        raise _Refused(415, "the content type must be application/json")
    if charset and charset[1] not in ("utf-8", "utf8", "us-ascii"):
        raise _Refused(415, "the body must be UTF-8")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise _Refused(415, "the body must not be compressed")
    return kind


def _proved(host: Host, headers: Headers, body: bytes, secrets: Sequence[Secret]) -> bool:
    return any(secret.value and host.authentic(headers, body, secret) for secret in secrets)


def _unsigned(host: Host | None) -> str:
    """What an unproved delivery is told. Of a hook nothing (`host` is None): not even whether there is such a hook."""
    text = "the delivery is not signed with the secret of a webhook that is set up here"
    if host is None:
        return text
    variable = f"DRIFTLINE_WEBHOOK_SECRET_{host.name.upper()}"
    return f"{text}; it looks like {host.name}: the secret there must be the one of {variable} here"


def _payload(kind: str, body: bytes) -> dict[str, Any]:
    if kind != FORM:
        return strict_json.parse(body)
    try:
        fields = parse_qs(body.decode(), strict_parsing=True, errors="strict", max_num_fields=10)
    except ValueError:  # UnicodeDecodeError is one too
        raise Malformed("the body is not a valid form") from None
    if len(fields.get("payload", ())) != 1:
        raise Malformed("the form has not exactly one payload")
    return strict_json.parse(fields["payload"][0].encode())


def _say(provider: str, status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    DELIVERIES.labels(provider, str(status)).inc()
    log.debug("webhook of %s refused with %d: %s", provider, status, text)
    return _json(status, {"error": text}, headers)


def _json(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, mimetype=JSON)
