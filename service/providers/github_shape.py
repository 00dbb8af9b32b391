"""The push payload that GitHub invented and that Gitea, Forgejo and Gogs imitate."""

from dataclasses import replace
from typing import Any

from driftline.model.push import Push, RefAction, RefChange
from service.providers.host import Malformed
from service.providers.reading import at, change, full_ref, ignored, object_id, other_ref, required_urls, text, urls


def repository_urls(payload: dict[str, Any]) -> tuple[str, ...]:
    """Every URL of the repository in the payload. Raises Malformed if there is none."""
    repository = payload.get("repository")
    names = ("html_url", "clone_url", "ssh_url", "git_url")
    return required_urls(urls(*(at(repository, name) for name in names)))


def pushed(provider: str, delivery_id: str, payload: dict[str, Any]) -> Push:
    """A `push` event. Raises Malformed without a readable ref or repository URL."""
    ref = payload.get("ref")
    if other_ref(ref):
        return ignored(provider, "push", delivery_id, "the push names no branches or tags")
    found = change(full_ref(ref), payload.get("before"), payload.get("after"), payload.get("forced"))
    if found is None:
        raise Malformed("the push names no ref that can be read")
    if payload.get("deleted") is True:
        found = RefChange(found.ref, RefAction.DELETED)
    elif payload.get("created") is True and found.action is not RefAction.DELETED:
        found = replace(found, action=RefAction.CREATED)
    return _push(provider, "push", delivery_id, payload, found)


def created_or_deleted(provider: str, event: str, delivery_id: str, payload: dict[str, Any]) -> Push:
    """A `create` or `delete` event, which names the ref by its short name and `ref_type`. Raises Malformed."""
    ref = full_ref(payload.get("ref"), payload.get("ref_type"))
    if not ref:
        raise Malformed("the event names no ref that can be read")
    action = RefAction.DELETED if event == "delete" else RefAction.CREATED
    after = "" if event == "delete" else object_id(payload.get("sha"))
    return _push(provider, event, delivery_id, payload, RefChange(ref, action, after))


def _push(provider: str, event: str, delivery_id: str, payload: dict[str, Any], found: RefChange) -> Push:
    return Push(
        provider,
        event,
        delivery_id,
        repo_urls=repository_urls(payload),
        changes=(found,),
        default_branch=text(at(payload, "repository", "default_branch")),
        pusher=_pusher(payload),
    )


def _pusher(payload: dict[str, Any]) -> str:
    person = payload.get("pusher") or payload.get("sender")
    return next((name for key in ("name", "login", "username") if (name := text(at(person, key), 200))), "")
