"""From a targetRevision to a version of a chart, given the versions that a repository lists. Pure; Argo CD's REV-04."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from driftline.desired.semver import Range, Version, parse_range, parse_version
from driftline.model.errors import Permanent

ANY = "*"
"""What an empty targetRevision asks for: the newest release."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NUMBER = re.compile(r"\d+(?:\.\d+){0,2}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_PARTIAL = re.compile(r"v?\d+(?:\.\d+)?")
_MAX_LENGTH = 250
_SHOWN = 4
"""Versions that a message names."""


@dataclass(frozen=True)
class Answer:
    """What one targetRevision of one chart means now. Either `version` and `digest` are set or `problem` is.

    `digest` names the chart's content (`sha256:...`). `republished` says that the version was published again with
    other content, empty if it was not.
    """

    chart: str
    wanted: str
    version: str = ""
    digest: str = ""
    problem: str = ""
    republished: str = ""

    def to_json(self) -> dict[str, str]:
        """For the repository's row; what is empty is left out."""
        return {name: value for name, value in vars(self).items() if value or name in ("chart", "wanted")}

    @classmethod
    def from_json(cls, found: Mapping[str, str]) -> "Answer":
        """Read what `to_json` wrote."""
        return cls(**found)


def answer_to(answers: Iterable[Mapping[str, str]], chart: str, wanted: str) -> Answer | None:
    """What is known of a chart and a targetRevision among a row's answers."""
    for each in answers:
        if each["chart"] == chart and each["wanted"] == wanted:
            return Answer.from_json(each)
    return None


def is_digest(target_revision: str) -> bool:
    """Whether it names content and not a version."""
    return _DIGEST.fullmatch(target_revision) is not None


def validate(target_revision: str) -> None:
    """Accept empty, a version, a tag, a range or a digest; raise Permanent for all else."""
    text = target_revision
    shown = "".join(char if char.isprintable() else "�" for char in text[:80])
    if len(text) > _MAX_LENGTH:
        raise Permanent(f"targetRevision {shown!r}...: is longer than {_MAX_LENGTH} characters")
    if text in ("", "HEAD") or is_digest(text) or _TAG.fullmatch(text):
        return
    if not text.isprintable() or parse_range(text) is None:
        raise Permanent(
            f"targetRevision {shown!r}: is no version, version range or digest (sha256:...) of a chart; "
            "write 18.1.0, 18.*, >=18.1 <19, or * for the newest release"
        )


def pinned(target_revision: str) -> bool:
    """Whether exactly one version or content is asked for, so that nothing newer can take its place."""
    return is_digest(target_revision) or _range(target_revision) is None


def choose(target_revision: str, versions: Sequence[str], subject: str) -> str:
    """The listed version that a targetRevision means.

    A version that is listed is taken literally, `v` and build metadata aside where it is not; a range takes the highest
    version in it, with pre-releases only where the range names one; a part of a version (`18`, `18.1`) is the range of
    all that begin with it; a digest is returned as it is. `subject` begins the messages. Raises Permanent if nothing
    fits, naming the versions that come near.
    """
    if is_digest(target_revision) or target_revision in versions:
        return target_revision
    if not versions:
        raise Permanent(f"{subject}: the repository lists no version of it; check its name")
    asked = _range(target_revision)
    if asked is None:
        if found := _spelled(target_revision, versions):
            return found
        raise Permanent(f"{subject}: there is no version {target_revision}{_near(target_revision, versions, asked)}")
    best = asked.best(_read(versions))
    if best is None:
        wanted = target_revision or ANY
        raise Permanent(f"{subject}: no version satisfies {wanted!r}{_near(target_revision, versions, asked)}")
    return best.original


def concerns(target_revision: str, tag: str) -> bool:
    """Whether a newly published tag may change what a targetRevision means (WH-08). A hint."""
    tag = version_of(tag)
    asked = _range(target_revision)
    if asked is None:
        return is_digest(target_revision) or target_revision == tag or bool(_spelled(target_revision, [tag]))
    version = parse_version(tag)
    return version is None or asked.admits(version)


def version_of(tag: str) -> str:
    """The version that a tag of a registry stands for, which writes the `+` of a version as `_`; else the tag."""
    meant = tag.replace("_", "+", 1)
    return meant if parse_version(meant) is not None else tag


def _range(target_revision: str) -> Range | None:
    """The range that is asked for, None for one exact version, tag or digest."""
    text = ANY if target_revision in ("", "HEAD") else target_revision
    if _PARTIAL.fullmatch(text):
        return parse_range(text)
    return None if parse_version(text) else parse_range(text)


def _read(versions: Iterable[str]) -> list[Version]:
    """The versions that can be compared; other tags of a registry (`latest`) are passed over."""
    return [found for each in versions if (found := parse_version(each)) is not None]


def _spelled(wanted: str, versions: Sequence[str]) -> str:
    """The listed version that is the same one in another spelling (`v1.2.3`, `1.2.3+build`), empty if none is."""
    exact = parse_version(wanted)
    if exact is None:
        return ""
    equal = [each for each in _read(versions) if each.precedence == exact.precedence]
    return min((each.original for each in equal), default="")


def _near(wanted: str, versions: Sequence[str], asked: Range | None) -> str:
    """The end of a message: the listed versions around what was asked for."""
    known = sorted(_read(versions), key=lambda each: each.precedence)
    if not known:
        shown = ", ".join(sorted(versions)[-_SHOWN:])
        return f"; there are {shown}" if shown else ""
    releases = [each for each in known if not each.pre] or known
    if asked is not None and not any(not each.pre for each in known):
        newest = known[-1].original
        return f"; there are pre-releases only, the newest is {newest}: write '>={newest}' to have them"
    number = _NUMBER.search(wanted)
    middle = parse_version(number[0]) if number else None
    place = len(releases)
    if middle is not None:
        place = sum(each.precedence < middle.precedence for each in releases)
    start = max(0, min(place - _SHOWN // 2, len(releases) - _SHOWN))
    shown = ", ".join(each.original for each in releases[start : start + _SHOWN])
    return f"; the nearest there are: {shown}"
