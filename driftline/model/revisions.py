"""How revisions are shown: commits by their beginning, versions of charts whole. Used wherever people read one."""

import re

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_COMMIT_OR_PART = re.compile(r"[0-9a-f]{7,64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SHOWN = 12


def short(revision: str) -> str:
    """The first 12 digits of a commit or of a digest; a version as it is."""
    if _COMMIT.fullmatch(revision):
        return revision[:_SHOWN]
    return revision[: len("sha256:") + _SHOWN] if _DIGEST.fullmatch(revision) else revision


def titled(revision: str) -> str:
    """The same with a word before a version: `chart 18.1.0`. Empty for no revision."""
    if not revision or _COMMIT_OR_PART.fullmatch(revision) or _DIGEST.fullmatch(revision):
        return short(revision)
    return f"chart {short(revision)}"
