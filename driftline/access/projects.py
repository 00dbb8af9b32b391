"""What a project lets its applications do: which sources, which destinations, which kinds (PRJ-01..04). Pure.

Every path that writes (API, command line, UI, another application's render, the apply itself) asks these functions.
"""

from collections.abc import Collection
from dataclasses import dataclass

from driftline.desired import globs
from driftline.desired.urls import normalise
from driftline.model.application import Application
from driftline.model.objects import Kind


@dataclass(frozen=True)
class AllowedDestination:
    """One `destinations` entry. Each field is a glob, after `!` one that refuses what it matches."""

    server: str = ""
    name: str = ""
    namespace: str = ""


@dataclass(frozen=True)
class KindRule:
    """A group and kind, and for cluster-scoped objects perhaps a name: globs. An empty name matches all."""

    group: str
    kind: str
    name: str = ""

    def covers(self, kind: Kind, name: str) -> bool:
        return (
            globs.matches(self.group, kind.group)
            and globs.matches(self.kind, kind.kind)
            and (not self.name or globs.matches(self.name, name))
        )


ANY_KIND = KindRule("*", "*")


@dataclass(frozen=True)
class Project:
    """An AppProject. `namespace_kinds` None means every namespaced kind, empty means none (Argo CD's distinction)."""

    name: str
    source_repos: tuple[str, ...] = ()
    destinations: tuple[AllowedDestination, ...] = ()
    cluster_kinds: tuple[KindRule, ...] = ()
    cluster_kinds_refused: tuple[KindRule, ...] = ()
    namespace_kinds: tuple[KindRule, ...] | None = None
    namespace_kinds_refused: tuple[KindRule, ...] = ()


DEFAULT = Project("default", ("*",), (AllowedDestination("*", "*", "*"),), (ANY_KIND,))
"""The project of applications that name none, until somebody restricts it: everything is allowed (PRJ-01)."""


def may_deploy(project: Project, application: Application, cluster: Collection[str] | None) -> tuple[str, ...]:
    """Why the project refuses the application, in words for people; empty if it does not.

    `cluster` holds every name and URL by which the destination's cluster is registered: a rule about one of them is
    a rule about all. None means that it is not registered; then what the declaration says is what counts.
    """
    reasons = [
        f"spec.source.repoURL: {source.repo_url} is not permitted in project '{project.name}'"
        for source in application.sources
        if not source_allowed(project, source.repo_url)
    ]
    target = application.destination
    names = [name for name in (*(cluster or ()), target.server, target.name) if name]
    if not _destination_allowed(project, names, target.namespace):
        reasons.append(
            f"application destination server '{target.server or target.name}' and namespace '{target.namespace}' "
            f"do not match any of the allowed destinations in project '{project.name}'"
        )
    return tuple(reasons)


def may_hold(
    project: Project,
    kind: Kind,
    namespaced: bool,
    namespace: str,
    name: str = "",
    cluster: Collection[str] | None = None,
) -> bool:
    """Whether an application of the project may hold an object: its kind, and with `cluster` its namespace there.

    An application's objects may name other namespaces than its destination, so who applies them gives `cluster`, as
    for `may_deploy`. `name` is the object's, for rules about cluster-scoped objects that name one.
    """
    if not namespaced:
        allowed = any(rule.covers(kind, name) for rule in project.cluster_kinds)
        return allowed and not any(rule.covers(kind, name) for rule in project.cluster_kinds_refused)
    if any(rule.covers(kind, name) for rule in project.namespace_kinds_refused):
        return False
    if project.namespace_kinds is not None and not any(rule.covers(kind, name) for rule in project.namespace_kinds):
        return False
    return cluster is None or _destination_allowed(project, list(cluster), namespace)


def source_allowed(project: Project, url: str) -> bool:
    """Whether an entry covers the URL and no `!` entry refuses it; `*` and `?` stop at a slash, a lone `*` is all."""
    wanted, covered = normalise(url), False
    for entry in project.source_repos:
        pattern = normalise(entry.removeprefix("!"))
        # A refused repository is refused over every transport, or `ssh://` would be the way around `!https://`.
        strict = (_place(pattern), _place(wanted)) if _refuses(entry) else (pattern, wanted)
        found = pattern == "*" or globs.matches(*strict, separator="/")
        if _refuses(entry) and found:
            return False
        covered = covered or _refuses(entry) or found
    return covered


def _place(url: str) -> str:
    return url.partition("://")[2] or url


def _destination_allowed(project: Project, cluster: list[str], namespace: str) -> bool:
    """Argo CD's rule, a refusal first: an entry whose cluster (or namespace) refuses ours while the other fits."""
    if not cluster:
        return False
    covered = False
    for entry in project.destinations:
        server, name = _fits(entry.server, cluster), _fits(entry.name, cluster)
        there = _fits(entry.namespace, [namespace])
        refused_cluster = (_refuses(entry.server) and not server) or (_refuses(entry.name) and not name)
        if refused_cluster and there:
            return False
        if _refuses(entry.namespace) and not there and (server or name) and not refused_cluster:
            return False
        covered = covered or ((server or name) and there and not refused_cluster)
    return covered


def _refuses(pattern: str) -> bool:
    return pattern.startswith("!")


def _fits(pattern: str, values: list[str]) -> bool:
    """Whether a value matches; for a `!` pattern whether none does. An empty pattern fits an empty value only."""
    found = any(globs.matches(pattern.removeprefix("!"), value) for value in values)
    return not found if _refuses(pattern) else found
