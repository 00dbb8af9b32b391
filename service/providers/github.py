"""GitHub and GitHub Enterprise Server. Source: docs.github.com, 'Webhook events and payloads'."""

from typing import Any

from driftline.model.push import Push
from service.providers import github_shape
from service.providers.host import FORM, JSON, Headers, Host, Secret
from service.providers.reading import delivery, ignored, text
from service.providers.signatures import signed


def matches(headers: Headers) -> bool:
    return "x-github-event" in headers


def authentic(headers: Headers, body: bytes, secret: Secret) -> bool:
    """By X-Hub-Signature-256 alone: the SHA-1 header beside it is not looked at."""
    return signed(headers.get("x-hub-signature-256", ""), body, secret, prefix="sha256=")


def parse(headers: Headers, payload: dict[str, Any]) -> Push:
    """`push` is read, everything else (`ping` too) is ignored: each change of a ref also comes as a push."""
    event = text(headers.get("x-github-event"), 64)
    delivery_id = delivery(headers.get("x-github-delivery"), payload)
    if event != "push":
        return ignored("github", event, delivery_id, f"event {event or 'without a name'}")
    return github_shape.pushed("github", delivery_id, payload)


HOST = Host("github", matches, authentic, parse, content_types=frozenset({JSON, FORM}))
