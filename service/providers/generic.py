"""Any other Git server or script: a small JSON of our own, signed like GitHub's.

`{"repository": "https://git.example/shop.git", "ref": "refs/heads/main"}`, and if known `before`, `after`, `forced`,
`deleted`, `created`, `pusher`, `default_branch`. `repository` may be a list of URLs; `changes` may hold several
objects with `ref` and the rest. Headers: X-Driftline-Signature `sha256=<hex HMAC-SHA256 of the body>`, optionally
X-Driftline-Delivery and X-Driftline-Event (`push` or `ping`).
"""

from dataclasses import replace
from typing import Any

from driftline.model.push import Push, RefAction, RefChange
from service.providers.host import Headers, Host, Secret
from service.providers.reading import (
    MAX_CHANGES,
    at,
    change,
    delivery,
    followed,
    full_ref,
    ignored,
    items,
    nothing_followed,
    required_urls,
    text,
    urls,
)
from service.providers.signatures import signed


def matches(headers: Headers) -> bool:
    return "x-driftline-signature" in headers or "x-driftline-event" in headers


def authentic(headers: Headers, body: bytes, secret: Secret) -> bool:
    return signed(headers.get("x-driftline-signature", ""), body, secret, prefix="sha256=")


def parse(headers: Headers, payload: dict[str, Any]) -> Push:
    """A push unless the event's name says otherwise. Raises Malformed without a readable ref or repository URL."""
    event = text(headers.get("x-driftline-event"), 64) or "push"
    delivery_id = delivery(headers.get("x-driftline-delivery"), payload)
    if event != "push":
        return ignored("generic", event, delivery_id, f"event {event}")
    entries = [payload, *items(payload.get("changes"))][:MAX_CHANGES]
    if reason := nothing_followed([at(entry, "ref") for entry in entries]):
        return ignored("generic", event, delivery_id, reason)
    repository = payload.get("repository")
    return Push(
        "generic",
        event,
        delivery_id,
        repo_urls=required_urls(urls(*(items(repository)[:10] or [repository]))),
        changes=followed((_change(entry) for entry in entries), len(entries)),
        default_branch=text(payload.get("default_branch")),
        pusher=text(payload.get("pusher"), 200),
    )


def _change(entry: object) -> RefChange | None:
    found = change(full_ref(at(entry, "ref")), at(entry, "before"), at(entry, "after"), at(entry, "forced"))
    if found and at(entry, "deleted") is True:
        return RefChange(found.ref, RefAction.DELETED)
    if found and at(entry, "created") is True:
        return replace(found, action=RefAction.CREATED)
    return found


HOST = Host("generic", matches, authentic, parse)
