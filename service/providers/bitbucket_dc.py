"""Bitbucket Data Center (and Server). Source: confluence.atlassian.com, 'Event payload'."""

from typing import Any

from driftline.model.push import Push, RefChange
from service.providers.host import Headers, Host, Malformed, Secret
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
    return "x-event-key" in headers and "x-hook-uuid" not in headers


def authentic(headers: Headers, body: bytes, secret: Secret) -> bool:
    return signed(headers.get("x-hub-signature", ""), body, secret, prefix="sha256=")


def parse(headers: Headers, payload: dict[str, Any]) -> Push:
    """`repo:refs_changed` is read; everything else (`diagnostics:ping` too) is ignored."""
    event = text(headers.get("x-event-key"), 64)
    delivery_id = delivery(headers.get("x-request-id"), payload)
    if event != "repo:refs_changed":
        return ignored("bitbucket_dc", event, delivery_id, f"event {event or 'without a name'}")
    entries = payload.get("changes")
    if not isinstance(entries, list):
        raise Malformed("the push has no list of changes")
    entries = entries[:MAX_CHANGES]
    if reason := nothing_followed([_ref(entry) for entry in entries]):
        return ignored("bitbucket_dc", event, delivery_id, reason)
    return Push(
        "bitbucket_dc",
        event,
        delivery_id,
        repo_urls=required_urls(_urls(payload)),
        changes=followed((_change(entry) for entry in entries), len(entries)),
        pusher=text(at(payload, "actor", "name"), 200),
    )


def _urls(payload: dict[str, Any]) -> tuple[str, ...]:
    links = at(payload, "repository", "links")
    pages = (text(at(link, "href"), 2048).removesuffix("/browse") for link in items(at(links, "self"))[:10])
    return urls(*(at(link, "href") for link in items(at(links, "clone"))[:10]), *pages)


def _ref(entry: object) -> object:
    return text(at(entry, "ref", "id")) or at(entry, "refId")


def _change(entry: object) -> RefChange | None:
    return change(full_ref(_ref(entry)), at(entry, "fromHash"), at(entry, "toHash"))


HOST = Host("bitbucket_dc", matches, authentic, parse)
