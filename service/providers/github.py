"""GitHub and GitHub Enterprise Server. Source: docs.github.com, 'Webhook events and payloads'."""

from typing import Any

from driftline.model.push import Push
from service.providers import github_shape
from service.providers.host import FORM, JSON, Headers, Host, Malformed, Secret
from service.providers.reading import at, delivery, ignored, text
from service.providers.registry import artifact, tag_change
from service.providers.signatures import signed


def matches(headers: Headers) -> bool:
    return "x-github-event" in headers


def authentic(headers: Headers, body: bytes, secret: Secret) -> bool:
    """By X-Hub-Signature-256 alone: the SHA-1 header beside it is not looked at."""
    return signed(headers.get("x-hub-signature-256", ""), body, secret, prefix="sha256=")


def parse(headers: Headers, payload: dict[str, Any]) -> Push:
    """`push` is read, and `package` of the container registry; everything else (`ping` too) is ignored.

    Each change of a ref also comes as a push.
    """
    event = text(headers.get("x-github-event"), 64)
    delivery_id = delivery(headers.get("x-github-delivery"), payload)
    if event == "package":
        return _published(delivery_id, payload)
    if event != "push":
        return ignored("github", event, delivery_id, f"event {event or 'without a name'}")
    return github_shape.pushed("github", delivery_id, payload)


def _published(delivery_id: str, payload: dict[str, Any]) -> Push:
    """A version of a package. Only what was published in the container registry (ghcr.io) asks anything of us."""
    package = payload.get("package")
    kind, action = text(at(package, "package_type"), 64).lower(), text(payload.get("action"), 64)
    if kind != "container" or action != "published":
        return ignored("github", "package", delivery_id, f"package {action or 'without an action'} of type {kind}")
    found = tag_change(at(package, "package_version", "container_metadata", "tag", "name"))
    if found is None:
        return ignored("github", "package", delivery_id, "the package has no tag")
    name, owner = text(at(package, "name"), 512), text(at(package, "owner", "login") or at(package, "namespace"), 200)
    url = artifact(f"ghcr.io/{owner}/{name}")
    if not url:
        raise Malformed("the event names no package and owner")
    return Push(
        "github",
        "package",
        delivery_id,
        repo_urls=(url,),
        changes=(found,),
        pusher=text(at(payload, "sender", "login"), 200),
    )


HOST = Host("github", matches, authentic, parse, content_types=frozenset({JSON, FORM}))
