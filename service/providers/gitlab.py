"""GitLab: project and group webhooks, and system hooks. Source: docs.gitlab.com, 'Webhook events', 'System hooks'."""

import base64
import binascii
import hmac
from typing import Any

from driftline.model.digests import digest
from driftline.model.push import Push
from service.providers.host import Headers, Host, Secret
from service.providers.reading import (
    MAX_CHANGES,
    at,
    change,
    followed,
    full_ref,
    ignored,
    items,
    nothing_followed,
    required_urls,
    text,
    urls,
)
from service.providers.signatures import header_bytes, same

_PUSHES = {"Push Hook": "push", "Tag Push Hook": "tag_push"}


def matches(headers: Headers) -> bool:
    return "x-gitlab-event" in headers


def authentic(headers: Headers, body: bytes, secret: Secret) -> bool:
    """By the secret token in X-Gitlab-Token, or by the signature that a signing token (`whsec_...`) makes."""
    token = same(header_bytes(headers.get("x-gitlab-token", "")), secret.key)
    return bool(secret.value) and (token or _signed(headers, body, secret))


def _signed(headers: Headers, body: bytes, secret: Secret) -> bool:
    """Standard Webhooks: base64 HMAC-SHA256 of `id.timestamp.body`. Age is not judged: an old push does no harm."""
    if not secret.value.startswith("whsec_"):
        return False
    try:
        key = base64.b64decode(secret.value.removeprefix("whsec_").encode(), validate=True)
    except (binascii.Error, ValueError):
        return False
    stamp = f"{headers.get('webhook-id', '')}.{headers.get('webhook-timestamp', '')}."
    wanted = b"v1," + base64.b64encode(hmac.digest(key, header_bytes(stamp) + body, "sha256"))
    given = header_bytes(headers.get("webhook-signature", "")).split(b" ")[:10]
    return any(same(one, wanted) for one in given)


def parse(headers: Headers, payload: dict[str, Any]) -> Push:
    """Pushes of branches and tags, and the system hook `repository_update`; everything else is ignored."""
    hook = text(headers.get("x-gitlab-event"), 64)
    event = _PUSHES.get(hook, "")
    if hook == "System Hook":
        event = text(payload.get("event_name"), 64) or text(payload.get("object_kind"), 64)
    delivery_id = _delivery(headers, payload)
    if event in ("push", "tag_push"):
        return _pushed(event, delivery_id, payload, [payload])
    if event == "repository_update":
        return _pushed(event, delivery_id, payload, items(payload.get("changes")))
    return ignored("gitlab", hook, delivery_id, f"event {event or hook or 'without a name'}")


def _delivery(headers: Headers, payload: dict[str, Any]) -> str:
    given = text(headers.get("idempotency-key"), 200) or text(headers.get("webhook-id"), 200)
    # X-Gitlab-Event-UUID is shared by all deliveries that one event set off, so it alone would swallow pushes.
    return given or "-".join(filter(None, (text(headers.get("x-gitlab-event-uuid"), 100), digest(payload))))


def _pushed(event: str, delivery_id: str, payload: dict[str, Any], entries: list[Any]) -> Push:
    entries = entries[:MAX_CHANGES]
    if reason := nothing_followed([at(entry, "ref") for entry in entries]):
        return ignored("gitlab", event, delivery_id, reason)
    changes = followed((_change(entry) for entry in entries), len(entries))
    project, repository = payload.get("project"), payload.get("repository")
    found = urls(
        *(at(project, name) for name in ("web_url", "git_http_url", "git_ssh_url", "http_url", "ssh_url", "url")),
        *(at(repository, name) for name in ("homepage", "git_http_url", "git_ssh_url", "url")),
    )
    return Push(
        "gitlab",
        event,
        delivery_id,
        repo_urls=required_urls(found),
        changes=changes,
        default_branch=text(at(project, "default_branch")),
        pusher=text(payload.get("user_username"), 200) or text(payload.get("user_name"), 200),
    )


def _change(entry: object) -> Any:
    return change(full_ref(at(entry, "ref")), at(entry, "before"), at(entry, "after"))


HOST = Host("gitlab", matches, authentic, parse)
