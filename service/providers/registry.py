"""What registries announce: an artifact and its tag, told as a push of `refs/tags/<tag>` to `oci://host/path`."""

import re

from driftline.model.push import RefAction, RefChange
from service.providers.reading import text

_REFERENCE = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?P<place>[A-Za-z0-9][A-Za-z0-9._-]*(?::[0-9]{1,5})?(?:/[A-Za-z0-9._-]+)+)"
    r"(?::[A-Za-z0-9_][A-Za-z0-9._-]*)?(?:@[a-z0-9]+:[0-9a-f]+)?"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def artifact(reference: object) -> str:
    """`oci://host/path` of a reference `host/path:tag`, `host/path@digest` or a URL of one; empty for anything else."""
    match = _REFERENCE.fullmatch(text(reference, 2048).strip())
    return f"oci://{match['place']}" if match else ""


def tag_change(tag: object) -> RefChange | None:
    """A tag that was pushed, None if it is none."""
    found = text(tag, 128)
    return RefChange(f"refs/tags/{found}", RefAction.UPDATED) if _TAG.fullmatch(found) else None
