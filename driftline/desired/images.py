"""Kustomize's short form of an image override, `name=new:tag@digest`, and how it joins those in a file (GEN-10)."""

import re
from collections.abc import Iterable
from typing import Any

from driftline.model.errors import Permanent

_TAG = re.compile(r"(.+?):([A-Za-z0-9._-]*|\*)")
_KEEP = "*"


def parse_image(text: str) -> dict[str, str]:
    """`name=new`, `name=new:tag`, `name:tag`, `name@digest` or `name=new:tag@digest` as an entry of `images`.

    A tag or new name of `*` keeps what the file says. Raises Permanent for anything else.
    """
    name, equals, rest = text.partition("=")
    if not equals:
        rest = text
    rest, at, digest = rest.partition("@")
    place, colon, tag = rest.rpartition(":")
    if colon and _TAG.fullmatch(rest):
        rest = place
    else:
        tag = ""
    found = {"name": name if equals else rest}
    if equals and rest:
        found["newName"] = rest
    if tag:
        found["newTag"] = tag
    if at and digest:
        found["digest"] = digest
    if not found["name"] or len(found) == 1 or "=" in rest:
        raise Permanent(
            f"source.kustomize.images: {text[:120]!r}: write it as name=newname:tag, name:tag or name@digest"
        )
    return found


def merged_images(existing: list[Any], texts: Iterable[str]) -> list[Any]:
    """The `images` of a file with overrides set: each replaces the entry of its name."""
    found = {str(entry.get("name")): dict(entry) for entry in existing if isinstance(entry, dict)}
    for text in texts:
        image = parse_image(text)
        before = found.get(image["name"], {})
        for name in ("newName", "newTag"):
            if image.get(name) == _KEEP:
                del image[name]
                image |= {name: before[name]} if name in before else {}
        found[image["name"]] = image
    return [found[name] for name in sorted(found)]
