"""Bitbucket Cloud. Source: support.atlassian.com, 'Event payloads', 'Manage webhooks' (secrets since 2023)."""

import re
from typing import Any

from driftline.model.push import Push, RefAction, RefChange
from service.providers.host import Headers, Host, Malformed, Secret
from service.providers.reading import (
    MAX_CHANGES,
    at,
    delivery,
    followed,
    full_ref,
    ignored,
    object_id,
    required_urls,
    text,
    urls,
)
from service.providers.signatures import header_bytes, same, signed

_UUID = re.compile(r"\{?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?")
_KINDS = {"branch": "branch", "named_branch": "branch", "tag": "tag", "annotated_tag": "tag"}


def matches(headers: Headers) -> bool:
    return "x-hook-uuid" in headers


def authentic(headers: Headers, body: bytes, secret: Secret) -> bool:
    """By the signature; a webhook without a secret at Bitbucket is known by its UUID, if that is what was configured.

    A signature that is there must be right: a known UUID does not rescue it.
    """
    signature = headers.get("x-hub-signature", "")
    right = signed(signature, body, secret, prefix="sha256=")
    if signature or not _UUID.fullmatch(secret.value):
        return right
    given = header_bytes(headers.get("x-hook-uuid", "")).strip(b"{}").lower()
    return same(given, secret.key.strip(b"{}").lower())


def parse(headers: Headers, payload: dict[str, Any]) -> Push:
    """`repo:push` is read: several branches and tags in one delivery; everything else is ignored."""
    event = text(headers.get("x-event-key"), 64)
    delivery_id = delivery(headers.get("x-request-uuid"), payload)
    if event != "repo:push":
        return ignored("bitbucket_cloud", event, delivery_id, f"event {event or 'without a name'}")
    entries = at(payload, "push", "changes")
    if not isinstance(entries, list):
        raise Malformed("the push has no list of changes")
    if not entries:
        return ignored("bitbucket_cloud", event, delivery_id, "the push names no refs")
    return Push(
        "bitbucket_cloud",
        event,
        delivery_id,
        changes=followed((_change(entry) for entry in entries[:MAX_CHANGES]), len(entries)),
        repo_urls=required_urls(urls(at(payload, "repository", "links", "html", "href"), _web_url(payload))),
        default_branch=text(at(payload, "repository", "mainbranch", "name")),
        pusher=text(at(payload, "actor", "nickname"), 200) or text(at(payload, "actor", "display_name"), 200),
    )


def _web_url(payload: dict[str, Any]) -> str:
    """The URL that the repository's full name stands for; the payload of a push has no clone URLs."""
    name = text(at(payload, "repository", "full_name"), 300)
    return f"https://bitbucket.org/{name}" if re.fullmatch(r"[\w.{}-]+/[\w.-]+", name) else ""


def _change(entry: object) -> RefChange | None:
    new, old = at(entry, "new"), at(entry, "old")
    side = new if isinstance(new, dict) else old
    ref = full_ref(at(side, "name"), _KINDS.get(text(at(side, "type"))))
    if not ref:
        return None
    if side is old:
        return RefChange(ref, RefAction.DELETED)
    action = RefAction.UPDATED
    if at(entry, "created") is True or old is None:
        action = RefAction.CREATED
    elif at(entry, "forced") is True:
        action = RefAction.FORCED
    return RefChange(ref, action, object_id(at(new, "target", "hash")))


HOST = Host("bitbucket_cloud", matches, authentic, parse)
