"""Harbor, for artifacts of a registry. Source: goharbor.io, 'Configure Webhook Notifications' (default format).

Harbor signs nothing: it sends the Authorization header that the webhook names, word for word.
"""

from typing import Any

from driftline.model.push import Push
from service.providers.host import Headers, Host, Malformed, Secret
from service.providers.reading import MAX_CHANGES, at, delivery, ignored, items, text
from service.providers.registry import artifact, tag_change
from service.providers.signatures import header_bytes, same


def matches(headers: Headers) -> bool:
    """Nothing names Harbor in its headers, so it comes after all hosts that name themselves."""
    return "authorization" in headers


def authentic(headers: Headers, body: bytes, secret: Secret) -> bool:
    """By the Authorization header, which has to be equal to the secret."""
    return bool(secret.value) and same(header_bytes(headers.get("authorization", "")), secret.key)


def parse(headers: Headers, payload: dict[str, Any]) -> Push:
    """`PUSH_ARTIFACT` with tags is read, everything else is ignored. Raises Malformed where no artifact is named."""
    event = text(payload.get("type"), 64)
    if not event:
        raise Malformed("the event has no type")
    delivery_id = delivery(None, payload)
    if event != "PUSH_ARTIFACT":
        return ignored("harbor", event, delivery_id, f"event {event}")
    resources = items(at(payload, "event_data", "resources"))[:MAX_CHANGES]
    found = [(artifact(at(each, "resource_url")), tag_change(at(each, "tag"))) for each in resources]
    urls = tuple(dict.fromkeys(url for url, _ in found if url))
    changes = tuple(change for url, change in found if url and change)
    if not urls:
        raise Malformed("the event names no artifact")
    if not changes:
        return ignored("harbor", event, delivery_id, "the artifact has no tag")
    return Push(
        "harbor", event, delivery_id, repo_urls=urls, changes=changes, pusher=text(payload.get("operator"), 200)
    )


HOST = Host("harbor", matches, authentic, parse)
