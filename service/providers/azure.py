"""Azure DevOps service hooks. Source: learn.microsoft.com, 'Service hooks events' (git.push)."""

import re
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
    nothing_followed,
    required_urls,
    text,
    urls,
)
from service.providers.signatures import basic

_CLOUD = re.compile(r"https://(?:[^@/]+@)?dev\.azure\.com/([^/]+)/([^/]+)/_git/([^/]+)")
_OLD_CLOUD = re.compile(r"https://([^./@]+)\.visualstudio\.com/(?:DefaultCollection/)?([^/]+)/_git/([^/]+)")


def matches(headers: Headers) -> bool:
    return "x-vss-activityid" in headers or "x-vss-subscriptionid" in headers


def authentic(headers: Headers, body: bytes, secret: Secret) -> bool:
    """By basic authentication: Azure DevOps signs nothing."""
    return basic(headers.get("authorization", ""), secret)


def parse(headers: Headers, payload: dict[str, Any]) -> Push:
    """`git.push` is read; everything else, and a push of nothing, is ignored."""
    event = text(payload.get("eventType"), 64)
    if not event:
        raise Malformed("the event has no eventType")
    delivery_id = delivery(payload.get("id"), payload)
    if event != "git.push":
        return ignored("azure", event, delivery_id, f"event {event}")
    entries = at(payload, "resource", "refUpdates")
    if not isinstance(entries, list):
        raise Malformed("the push has no list of ref updates")
    entries = entries[:MAX_CHANGES]
    if reason := nothing_followed([at(entry, "name") for entry in entries]):
        return ignored("azure", event, delivery_id, reason)
    repository = at(payload, "resource", "repository")
    return Push(
        "azure",
        event,
        delivery_id,
        repo_urls=required_urls(_urls(repository)),
        changes=followed((_change(entry) for entry in entries), len(entries)),
        default_branch=text(at(repository, "defaultBranch")).removeprefix("refs/heads/"),
        pusher=text(at(payload, "resource", "pushedBy", "displayName"), 200),
    )


def _urls(repository: object) -> tuple[str, ...]:
    """The URLs given, and the SSH form of the cloud's own: its path differs, so nobody could match it later."""
    web = text(at(repository, "remoteUrl"), 2048) or text(at(repository, "webUrl"), 2048)
    cloud = _CLOUD.fullmatch(web) or _OLD_CLOUD.fullmatch(web)
    ssh = "git@ssh.dev.azure.com:v3/" + "/".join(cloud.groups()) if cloud else ""
    plain = "https://dev.azure.com/{}/{}/_git/{}".format(*cloud.groups()) if cloud else ""
    return urls(web, plain, at(repository, "webUrl"), at(repository, "sshUrl"), ssh)


def _change(entry: object) -> RefChange | None:
    return change(full_ref(at(entry, "name")), at(entry, "oldObjectId"), at(entry, "newObjectId"))


HOST = Host("azure", matches, authentic, parse)
