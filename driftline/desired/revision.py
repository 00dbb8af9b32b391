"""From a targetRevision to a commit, and to the refs that a fetch must ask for. Pure; rules of Argo CD (REV-01..03)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from driftline.desired.semver import Range, Version, parse_range, parse_version
from driftline.model.errors import Permanent

HEADS, TAGS = "refs/heads/", "refs/tags/"
_FULL_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT_ID = re.compile(r"[0-9a-f]{7,63}")
_NOT_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)")
_MAX_LENGTH = 250


@dataclass(frozen=True)
class Tracked:
    """What a source follows: its targetRevision, the prefix of the tags that a version range looks at, its chart."""

    revision: str = ""
    tag_prefix: str = ""
    chart: str = ""


@dataclass(frozen=True)
class Resolved:
    """What a targetRevision stands for now. `ref` is the full ref it came from, `HEAD`, or empty for a commit id.

    With `abbreviated`, `commit` is a short id: only the mirror knows whether one commit begins like that, or several.
    """

    commit: str
    ref: str = ""
    warnings: tuple[str, ...] = ()
    abbreviated: bool = False


def full_id(text: str) -> bool:
    """Whether `text` is a whole commit id (SHA-1 or SHA-256), in lower case."""
    return _FULL_ID.fullmatch(text) is not None


def short_id(text: str) -> bool:
    """Whether `text` can be an abbreviated commit id."""
    return _SHORT_ID.fullmatch(text) is not None and not full_id(text)


def ref_name(text: str) -> bool:
    """Whether Git accepts `text` as (part of) a ref's name; source: git-check-ref-format(1)."""
    if not text or text == "@" or text.startswith(("-", "/", ".")) or text.endswith(("/", ".")):
        return False
    return len(text) <= _MAX_LENGTH and _NOT_IN_REF.search(text) is None


def constraint(target_revision: str) -> Range | None:
    """The version range a targetRevision asks for; None if it is a name or one exact version, which is a plain pin."""
    return None if parse_version(target_revision) else parse_range(target_revision)


def validate(target_revision: str) -> None:
    """Accept empty, HEAD, a ref or its short name, a commit id or a version range; raise Permanent for all else."""
    text = target_revision
    shown = "".join(char if char.isprintable() else "�" for char in text[:80])
    if text in ("", "HEAD"):
        return
    if text.startswith("-"):
        raise Permanent(f"targetRevision {shown!r}: must not start with '-'")
    if len(text) > _MAX_LENGTH:
        raise Permanent(f"targetRevision {shown!r}...: is longer than {_MAX_LENGTH} characters")
    if not ref_name(text) and (constraint(text) is None or not text.isprintable()):
        raise Permanent(
            f"targetRevision {shown!r}: is no branch, tag, commit id or version range; "
            "names have no spaces, '..', or any of ~ ^ : ? * [ \\"
        )


def resolve(target_revision: str, refs: Mapping[str, str], head: str, tag_prefix: str = "") -> Resolved:
    """The commit a targetRevision means, given every ref that may matter.

    `refs` maps full names to commit ids, tags peeled; `head` is the commit of the default branch, empty if there is
    none. A whole commit id is taken as it is. A version range takes the highest tag in it (with `tag_prefix`, of the
    tags under that prefix); a short name takes the branch before the tag and says so. Raises Permanent if nothing fits.
    """
    validate(target_revision)
    if target_revision in ("", "HEAD"):
        if not head:
            raise Permanent("targetRevision HEAD: the repository has no commits on its default branch; push one")
        return Resolved(head, "HEAD")
    if full_id(target_revision.lower()):
        return Resolved(target_revision.lower())
    if (asked := constraint(target_revision)) and (found := _best_tag(target_revision, asked, refs, tag_prefix)):
        return found
    return _by_name(target_revision, refs) or _by_id(target_revision.lower()) or _refuse(target_revision)


def wanted_refs(target_revision: str, tag_prefix: str = "") -> tuple[str, ...]:
    """What a fetch must ask for: full refs, `HEAD`, a commit id, or a pattern that ends in `*`. Not all need exist."""
    validate(target_revision)
    text = target_revision
    if text in ("", "HEAD"):
        return ("HEAD",)
    if full_id(text.lower()):
        return (text.lower(),)
    if text.startswith("refs/"):
        return (text,)
    if constraint(text):
        branch = (HEADS + text,) if ref_name(text) else ()
        return (f"{TAGS}{tag_prefix}*", *branch)
    if short_id(text.lower()):
        return (HEADS + "*", TAGS + "*")
    return (HEADS + text, TAGS + text)


def concerns(target_revision: str, ref: str, default_branch: str, tag_prefix: str = "") -> bool:
    """Whether a push to `ref` may move what `target_revision` means (WH-04). A hint: it only decides who looks.

    `default_branch` is a full ref or a branch name; where it is unknown, every branch may be it.
    """
    text = target_revision
    if text in ("", "HEAD"):
        default = default_branch.removeprefix(HEADS)
        return ref == "HEAD" or (ref.startswith(HEADS) and (not default or ref == HEADS + default))
    if text in (ref, ref.removeprefix(HEADS), ref.removeprefix(TAGS)):
        return True
    asked = constraint(text)
    if asked is None or not ref.startswith(TAGS + tag_prefix):
        return False
    version = parse_version(ref.removeprefix(TAGS + tag_prefix))
    return version is not None and asked.admits(version)


def _best_tag(text: str, asked: Range, refs: Mapping[str, str], tag_prefix: str) -> Resolved | None:
    best = asked.best(_versions(refs, TAGS + tag_prefix))
    if best is None:
        return None
    ref = TAGS + tag_prefix + best.original
    warnings = [
        f"targetRevision {text!r}: is read as a version range; write {name} for the {kind} of that name"
        for name, kind in ((HEADS + text, "branch"), (TAGS + text, "tag"))
        if name in refs
    ]
    return Resolved(refs[ref], ref, tuple(warnings))


def _versions(refs: Mapping[str, str], stem: str) -> Iterator[Version]:
    for ref in refs:
        if ref.startswith(stem) and (version := parse_version(ref[len(stem) :])):
            yield version


def _by_name(text: str, refs: Mapping[str, str]) -> Resolved | None:
    found = [name for name in (text, HEADS + text, TAGS + text) if name in refs and name.startswith("refs/")]
    if not found:
        return None
    warnings: tuple[str, ...] = ()
    if len({refs[name] for name in found}) > 1:
        warnings = (f"targetRevision {text!r}: is ambiguous, {found[0]} is used; write {' or '.join(found)}",)
    return Resolved(refs[found[0]], found[0], warnings)


def _by_id(text: str) -> Resolved | None:
    return Resolved(text, abbreviated=True) if short_id(text) else None


def _refuse(text: str) -> Resolved:
    if constraint(text):
        raise Permanent(f"targetRevision {text!r}: no tag is in this version range; push one or widen the range")
    raise Permanent(f"targetRevision {text!r}: unable to resolve to a commit: no branch, tag or ref has that name")
