"""Alerts as JSON to any URL, signed if there is a secret."""

import hashlib
import hmac
from dataclasses import dataclass, field

import orjson

from driftline.adapters.notify.egress import post, verdict
from driftline.alerts.outgoing import Outgoing, Sent


@dataclass(frozen=True)
class WebhookSettings:
    """How generic webhooks are sent."""

    secret: str = field(default="", repr=False)
    """Signs each body: `X-Driftline-Signature: sha256=<hex HMAC-SHA256 of the body>`. Empty: unsigned."""
    allow_private: bool = False
    """Whether recipients may be at private and loopback addresses. Link-local ones (cloud metadata) never are."""


def send(outgoing: Outgoing, thread: str, settings: WebhookSettings) -> Sent:
    """POST one alert to its URL. Raises Temporary or Permanent; the URL is not named, it may hold a token."""
    message = outgoing.message
    body = orjson.dumps(
        {
            "version": 1,
            "id": outgoing.dedupe_key,
            "thread": outgoing.thread_key,
            "edge": str(message.edge),
            "condition": outgoing.condition,
            "subject": outgoing.subject,
            "title": message.title,
            "text": message.text,
            "fields": dict(message.fields),
            "link": message.link,
        }
    )
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "driftline",
        "X-Driftline-Delivery": outgoing.dedupe_key,
    }
    if settings.secret:
        signature = hmac.new(settings.secret.encode(), body, hashlib.sha256).hexdigest()
        headers["X-Driftline-Signature"] = f"sha256={signature}"
    verdict(post(outgoing.address, body, headers, "webhook", settings.allow_private), "webhook")
    return Sent(outgoing.thread_key)
