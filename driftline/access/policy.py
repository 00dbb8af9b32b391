"""Who may do what: Argo CD's policy lines, with its built-in roles. Pure; called by service for every request.

An action is allowed if some rule of one of the person's subjects allows it and none of them denies it. Argo CD asks
each group on its own, so that a deny in one can be outvoted by another; here a deny always wins.
"""

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from driftline.desired import globs
from driftline.model.errors import Permanent

ADMIN = "role:admin"
READONLY = "role:readonly"

RESOURCES = frozenset(
    {"applications", "applicationsets", "clusters", "projects", "repositories", "write-repositories", "accounts",
     "certificates", "gpgkeys", "logs", "exec", "extensions"}
)  # fmt: skip
"""What permissions are about (RBAC-02)."""


@dataclass(frozen=True)
class Permission:
    """What somebody wants to do. For applications the object is `project/name`, else a name or URL (RBAC-03)."""

    resource: str
    action: str
    object: str


@dataclass(frozen=True)
class Rule:
    """One `p` line: globs for what `subject` (a person, group or role) may do, or with `allow` off may not."""

    subject: str
    resource: str
    action: str
    object: str
    allow: bool = True

    def covers(self, wanted: Permission) -> bool:
        return (
            globs.matches(self.resource, wanted.resource)
            and globs.matches(self.action, wanted.action)
            and globs.matches(self.object, wanted.object)
        )


BUILT_IN = (
    Rule(READONLY, "*", "get", "*"),
    Rule(ADMIN, "*", "*", "*"),
)


@dataclass(frozen=True)
class Policy:
    """All rules. `roles` maps a subject to the roles that `g` lines give it; `default` is everybody's role or empty."""

    rules: tuple[Rule, ...] = ()
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    default: str = ""

    def subjects_of(self, subjects: Collection[str]) -> frozenset[str]:
        """The subjects and every role that they have, roles of roles included."""
        found: set[str] = set()
        todo = [subject for subject in subjects if subject]
        while todo:
            subject = todo.pop()
            if subject not in found:
                found.add(subject)
                todo.extend(self.roles.get(subject, ()))
                todo.extend((READONLY,) if subject == ADMIN else ())
        return frozenset(found)


def parse(text: str, default: str = "") -> Policy:
    """Read policy lines: `p, subject, resource, action, object, allow|deny` and `g, subject, role`.

    Empty lines and `#` comments are skipped. Raises Permanent that names the line: a rule that cannot be read might be
    a deny, so nothing of the text counts.
    """
    rules: list[Rule] = []
    roles: dict[str, set[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = _words(line, number)
        if not words:
            continue
        if words[0] == "p":
            rules.append(_rule(words, number))
        elif words[0] == "g":
            if len(words) != 3 or not all(words):
                raise Permanent(f"policy line {number}: want 'g, subject, role'")
            roles.setdefault(words[1], set()).add(words[2])
        else:
            raise Permanent(f"policy line {number}: starts with {words[0]!r}; want p or g")
    return Policy(tuple(rules), {subject: frozenset(given) for subject, given in roles.items()}, default)


def allows(policy: Policy, subjects: Collection[str], wanted: Permission) -> bool:
    """Whether somebody known under `subjects` (the account's name, its groups and roles) may do this.

    The default role is everybody's and cannot be denied (RBAC-05); everything else is denied unless allowed.
    """
    if policy.default and _decide(policy, [policy.default], wanted):
        return True
    return _decide(policy, subjects, wanted)


def _decide(policy: Policy, subjects: Collection[str], wanted: Permission) -> bool:
    mine = policy.subjects_of(subjects)
    allowed = False
    for rule in (*BUILT_IN, *policy.rules):
        if rule.subject in mine and rule.covers(wanted):
            if not rule.allow:
                return False
            allowed = True
    return allowed


def _words(line: str, number: int) -> list[str]:
    text = line.strip()
    if not text or text.startswith("#"):
        return []
    try:
        return [word.strip() for word in next(csv.reader([text], skipinitialspace=True, strict=True))]
    except csv.Error:
        raise Permanent(f"policy line {number}: its quotes do not match") from None


def _rule(words: list[str], number: int) -> Rule:
    if len(words) != 6 or not all(words):
        raise Permanent(f"policy line {number}: want 'p, subject, resource, action, object, allow or deny'")
    _, subject, resource, action, target, effect = words
    if effect not in ("allow", "deny"):
        raise Permanent(f"policy line {number}: the effect is {effect!r}; want allow or deny")
    for pattern in (resource, action, target):
        try:
            globs.matches(pattern, "")
        except Permanent as error:
            raise Permanent(f"policy line {number}: {error.message}") from None
    return Rule(subject, resource, action, target, effect == "allow")
