"""What Gitea, Forgejo and Gogs have in common: `push`, `create` and `delete`, and headers named after the host."""

from collections.abc import Callable
from functools import partial
from typing import Any

from driftline.model.push import Push
from service.providers import github_shape
from service.providers.host import Headers, Host, Secret
from service.providers.reading import delivery, ignored, text


def parse(name: str, headers: Headers, payload: dict[str, Any]) -> Push:
    """Read a delivery of the host called `name`. A ref made or deleted on its pages comes as an event of its own."""
    event = text(headers.get(f"x-{name}-event"), 64)
    delivery_id = delivery(headers.get(f"x-{name}-delivery"), payload)
    if event == "push":
        return github_shape.pushed(name, delivery_id, payload)
    if event in ("create", "delete"):
        return github_shape.created_or_deleted(name, event, delivery_id, payload)
    return ignored(name, event, delivery_id, f"event {event or 'without a name'}")


def family_host(
    name: str, matches: Callable[[Headers], bool], authentic: Callable[[Headers, bytes, Secret], bool]
) -> Host:
    """A host of the family: its own recognition and signature, the common reading."""
    return Host(name, matches, authentic, partial(parse, name))
