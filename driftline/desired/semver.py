"""Versions and version ranges with the rules of Masterminds/semver 3, which Argo CD and Helm use. Pure.

What `~`, `^`, `x` and pre-releases mean follows that library case by case, its oddities included
(source: github.com/Masterminds/semver v3.5.0; tests hold a table of answers computed by it).
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

_IDENTIFIERS = r"[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*"
_VERSION = re.compile(rf"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-({_IDENTIFIERS}))?(?:\+({_IDENTIFIERS}))?")
_PART = r"[0-9|xX*]+"
_RANGE_VERSION = rf"v?({_PART})(?:\.({_PART}))?(?:\.({_PART}))?(?:-({_IDENTIFIERS}))?(?:\+{_IDENTIFIERS})?"
# Longest spelling first: Python's alternation takes the first that fits, and `>=` must not be read as `>`.
_OPERATORS = r"!=|>=|=>|<=|=<|~>|=|>|<|~|\^|"
_TERM = re.compile(rf"({_OPERATORS})\s*{_RANGE_VERSION}", re.ASCII)
_SEPARATOR = re.compile(r"\s*,\s*|\s+", re.ASCII)
_HYPHEN = re.compile(rf"({_RANGE_VERSION})\s+-\s+({_RANGE_VERSION})", re.ASCII)
_LARGEST = 2**64 - 1
_MAX_RANGE, _MAX_GROUPS, _MAX_VERSION = 512, 32, 256


@dataclass(frozen=True)
class Version:
    """One version. `original` is the text it was read from; build metadata takes no part in comparisons."""

    major: int
    minor: int
    patch: int
    pre: str = ""
    original: str = field(default="", compare=False)

    @cached_property
    def precedence(self) -> tuple[object, ...]:
        """Sort key. A release is above its pre-releases; numbers are below words; fewer identifiers are below more."""
        words = tuple(_identifier(word) for word in self.pre.split(".")) if self.pre else ()
        return (self.major, self.minor, self.patch, not self.pre, words)

    @property
    def numbers(self) -> tuple[int, int, int]:
        return (self.major, self.minor, self.patch)


def parse_version(text: str) -> Version | None:
    """Read `1`, `v1.2`, `1.2.3-rc.1+build`, leading zeros of the numbers tolerated; None if it is no version."""
    match = _VERSION.fullmatch(text) if len(text) <= _MAX_VERSION else None
    if match is None:
        return None
    numbers = [int(match[group] or 0) for group in (1, 2, 3)]
    pre = match[4] or ""
    if max(numbers) > _LARGEST or any(_zero_led(word) for word in pre.split(".")):
        return None
    return Version(numbers[0], numbers[1], numbers[2], pre, text)


@dataclass(frozen=True)
class _Term:
    """One comparison of a range. `known` counts the numbers that were given: 0 for `*`, 2 for `1.2` or `1.2.x`."""

    operator: str
    bound: Version
    known: int

    def admits(self, version: Version, pre_releases: bool) -> bool:
        if version.pre and not pre_releases:
            return False
        return _OPERATIONS[self.operator](version, self)


@dataclass(frozen=True)
class Range:
    """A version range: any of its groups admits a version that all terms of the group admit."""

    groups: tuple[tuple[_Term, ...], ...]

    def admits(self, version: Version) -> bool:
        """Whether `version` is in the range. Pre-releases only where a term of the group names one (`>=1.0.0-0`)."""
        for terms in self.groups:
            pre_releases = any(term.bound.pre for term in terms)
            if all(term.admits(version, pre_releases) for term in terms):
                return True
        return False

    def best(self, versions: Iterable[Version]) -> Version | None:
        """The highest admitted version; of equal ones (`v1.0.0`, `1.0.0`) the first by its text."""
        admitted = sorted((v for v in versions if self.admits(v)), key=lambda version: version.original)
        return max(admitted, key=lambda version: version.precedence, default=None)


def parse_range(text: str) -> Range | None:
    """Read a range such as `^1.2`, `>=1 <3`, `1.x || 2.1.*`, `1.2 - 1.4`, `*-0`; None if it is none.

    The empty text is none either: who means "any release" by it passes `*`.
    """
    if len(text) > _MAX_RANGE:
        return None
    alternatives = _HYPHEN.sub(r">= \1, <= \6 ", text).split("||")
    if len(alternatives) > _MAX_GROUPS:
        return None
    groups = [_terms(alternative.strip(" \t\n\r\f\v")) for alternative in alternatives]
    return Range(tuple(group for group in groups if group)) if all(groups) else None


def _terms(text: str) -> tuple[_Term, ...] | None:
    """The terms of one alternative, separated by commas or blanks. Scanned once, so that hostile text costs nothing."""
    terms: list[_Term] = []
    position = 0
    while True:
        match = _TERM.match(text, position)
        term = _term(match) if match else None
        if match is None or term is None:
            return None
        terms.append(term)
        if match.end() == len(text):
            return tuple(terms)
        gap = _SEPARATOR.match(text, match.end())
        if gap is None:
            return None
        position = gap.end()


def _term(match: re.Match[str]) -> _Term | None:
    known: list[str] = []
    for part in match.group(2, 3, 4):
        if part is None or part in ("x", "X", "*"):
            break
        known.append(part)
    numbers = ".".join(known + ["0"] * (3 - len(known)))
    bound = parse_version(f"{numbers}-{match[5]}" if match[5] else numbers)
    return _Term(match[1], bound, len(known)) if bound else None


def _differs(version: Version, term: _Term) -> bool:
    if term.known in (1, 2):
        wild_pre = term.known == 2 and bool(version.pre or term.bound.pre) and version.pre != term.bound.pre
        return version.numbers[: term.known] != term.bound.numbers[: term.known] or wild_pre
    return version.precedence != term.bound.precedence


def _above(version: Version, term: _Term) -> bool:
    # `>1.2` asks for 1.3 or higher, not for 1.2.1.
    if term.known in (1, 2):
        return version.numbers[: term.known] > term.bound.numbers[: term.known]
    return _compare(version, term.bound) > 0


def _at_most(version: Version, term: _Term) -> bool:
    # `<=1.2` includes 1.2.9; `<=*` is read as `<=0.0.x`.
    if term.known == 3:
        return _compare(version, term.bound) <= 0
    known = 2 if term.known == 0 else term.known
    return version.numbers[:known] <= term.bound.numbers[:known]


def _tilde(version: Version, term: _Term) -> bool:
    if _compare(version, term.bound) < 0:
        return False
    if term.bound.numbers == (0, 0, 0) and term.known in (0, 3):
        return True
    known = 1 if term.known == 1 else 2
    return version.numbers[:known] == term.bound.numbers[:known]


def _equal(version: Version, term: _Term) -> bool:
    if term.known < 3:
        return _tilde(version, term)
    return _compare(version, term.bound) == 0


def _caret(version: Version, term: _Term) -> bool:
    if _compare(version, term.bound) < 0:
        return False
    bound = term.bound
    if bound.major > 0 or term.known == 1:
        fixed = 1
    elif bound.minor > 0 or term.known == 2:
        fixed = 2
    else:
        fixed = 3
    return version.numbers[:fixed] == bound.numbers[:fixed]


def _at_least(version: Version, term: _Term) -> bool:
    return _compare(version, term.bound) >= 0


def _below(version: Version, term: _Term) -> bool:
    return _compare(version, term.bound) < 0


_OPERATIONS: dict[str, Callable[[Version, _Term], bool]] = {
    "": _equal,
    "=": _equal,
    "!=": _differs,
    ">": _above,
    "<": _below,
    ">=": _at_least,
    "=>": _at_least,
    "<=": _at_most,
    "=<": _at_most,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}


def _compare(left: Version, right: Version) -> int:
    a, b = left.precedence, right.precedence
    return (a > b) - (a < b)


def _identifier(word: str) -> tuple[int, int, str]:
    return (0, int(word), "") if word.isdecimal() and int(word) <= _LARGEST else (1, 0, word)


def _zero_led(word: str) -> bool:
    return word.isdecimal() and len(word) > 1 and word[0] == "0"
