"""Take declarations of applications: from a person, or from the render of another application."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar

from sqlalchemy import Connection

from driftline.access.projects import may_deploy
from driftline.adapters.store import applications, audit, clusters, declarations, jobs, repositories
from driftline.adapters.store.applications import ApplicationRow
from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.store.declarations import Declaration, Declared, SourceDeclaration
from driftline.adapters.store.repositories import Named, RepositoryRow
from driftline.adapters.taskqueue import Hint
from driftline.desired import releases, revision, urls
from driftline.flow.edges import Edges
from driftline.flow.projects import project_of
from driftline.flow.subjects import app_request, fetch_request, hints
from driftline.formats.application import application, normalised
from driftline.model.application import Application, Destination, Source
from driftline.model.errors import Permanent
from driftline.model.objects import Object
from driftline.sync.confirmation import only_confirms

P = ParamSpec("P")
T = TypeVar("T")

IN_CLUSTER = ("in-cluster", "https://kubernetes.default.svc")
"""Name and address by which declarations mean the cluster that we run in."""

FINALIZER = "resources-finalizer.argocd.argoproj.io"


@dataclass(frozen=True)
class Outcome:
    """What became of one declaration: `created`, `changed` or `unchanged`."""

    name: str
    action: str
    warnings: tuple[str, ...] = ()


def declare(edges: Edges, documents: Sequence[Object], who: str, upsert: bool = False) -> tuple[Outcome, ...]:
    """Save what a person declares: all of it or nothing.

    Raises Permanent naming the application and the field; for a name that exists with another specification unless
    `upsert` is given (Argo CD's rule and words).
    """
    apps = [application(document) for document in documents]
    _unique(apps)
    with edges.store.write() as db:
        found, wrong = _declarations(db, edges, apps)
        for failure in wrong.values():
            raise failure
        leaving: list[int] = []
        for each in found:
            found_before = applications.get(db, each.name)
            if found_before is not None:
                _check_change(found_before, each, upsert)
                leaving += [found_before.id] if found_before.deleting else []
        declared = declarations.declare_many(db, found)
        _refuse_taken(declared)
        wanted = _wake(db, declared, found)
        # What is being deleted reads no repository any more, and hears of its confirmation all the same.
        wanted += hints(jobs.request_many(db, [app_request(number) for number in leaving]))
        for name in sorted(declared.created | declared.changed):
            audit.append(db, who, "app.declare", f"app:{name}", {"created": name in declared.created})
    edges.hint(wanted)
    return tuple(Outcome(each.name, _action(declared, each.name), tuple(each.warnings)) for each in found)


def declare_children(
    db: Connection, edges: Edges, parent_id: int | None, apps: Sequence[Application]
) -> tuple[Declared, Mapping[str, str]]:
    """Save the applications that the render of the application `parent_id` holds; also why some could not be, by name.

    A name that belongs to someone else is `refused`.
    """
    found, wrong = _declarations(db, edges, apps, parent_id)
    return declarations.declare_many(db, found), {name: failure.message for name, failure in wrong.items()}


def wake_children(db: Connection, declared: Declared) -> list[Hint]:
    """Ask for a look at each child that is new or changed. Their repository was fetched for the parent just now."""
    names = sorted(declared.created | declared.changed)
    return hints(jobs.request_many(db, [app_request(declared.ids[name]) for name in names]))


def cluster_of(db: Connection, destination: Destination) -> ClusterRow | None:
    """The registered cluster that a destination means; None if there is none."""
    if destination.name:
        return clusters.get(db, destination.name)
    if destination.server in IN_CLUSTER:
        return clusters.get(db, IN_CLUSTER[0])
    found = clusters.by_server(db, destination.server)
    if len(found) > 1:
        names = ", ".join(row.name for row in found)
        raise Permanent(
            f"spec.destination.server: {destination.server} is registered as {names}; use spec.destination.name"
        )
    return found[0] if found else None


def _declarations(
    db: Connection, edges: Edges, apps: Sequence[Application], parent_id: int | None = None
) -> tuple[list[Declaration], dict[str, Permanent]]:
    """Declarations with the ids of clusters and repositories, in a handful of statements for any number.

    What is wrong with one says nothing of the others: it is returned by the application's name.
    """
    places = {app.destination.name or app.destination.server: app.destination for app in apps}
    meant = {place: _attempted(cluster_of, db, destination) for place, destination in places.items()}
    checked = {app.name: _attempted(_check, edges, app) for app in apps}
    good = [app for app in apps if not isinstance(checked[app.name], Permanent)]
    every = {named.url_normal: named for app in good for named in map(_named, app.sources)}
    rows = repositories.ensure_many(db, [every[normal] for normal in sorted(every)])
    rows = _of_the_right_kind(db, rows, every, {app.name for app in good})
    made: list[Declaration] = []
    wrong = {name: failure for name, failure in checked.items() if isinstance(failure, Permanent)}
    for app in good:
        cluster = meant[app.destination.name or app.destination.server]
        failed = isinstance(cluster, Permanent)
        found = cluster if isinstance(cluster, Permanent) else _attempted(_declaration, app, cluster, rows, parent_id)
        if isinstance(found, Permanent):
            wrong[app.name] = Permanent(f"Application {app.name}: {found.message}") if failed else found
        else:
            made.append(found)
    return made, wrong


def _named(source: Source) -> Named:
    """The repository that a source reads."""
    kind = urls.kind_of(source.repo_url, source.chart)
    return Named(source.repo_url, urls.identity(source.repo_url, kind), kind)


def _of_the_right_kind(
    db: Connection, rows: Mapping[str, RepositoryRow], named: Mapping[str, Named], declared: set[str]
) -> dict[str, RepositoryRow]:
    """The rows, those corrected that got another kind by an earlier declaration and that nobody else reads."""
    found = dict(rows)
    for normal, row in rows.items():
        if row.kind == named[normal].kind or row.options is not None:
            continue
        if {use.name for use in applications.of_repository(db, row.id)} <= declared:
            repositories.set_kind(db, row.id, named[normal].kind)
            found[normal] = replace(row, kind=named[normal].kind)
    return found


def _attempted(step: Callable[P, T], *values: P.args, **named: P.kwargs) -> T | Permanent:
    """What a step returns, or the Permanent that it raises."""
    try:
        return step(*values, **named)
    except Permanent as failure:
        return failure


def _check(edges: Edges, app: Application) -> None:
    """Raise Permanent for what no database knows: URLs, revisions, the project."""
    for position, source in enumerate(app.sources):
        kind = urls.kind_of(source.repo_url, source.chart)
        urls.validate(source.repo_url, kind, allow_file=edges.settings.git_allow_file)
        try:
            (revision if kind == urls.GIT else releases).validate(source.target_revision)
        except Permanent as failure:
            raise Permanent(f"Application {app.name}: spec.sources[{position}]: {failure.message}") from None
    try:
        project_of(app.project)
    except Permanent as failure:
        raise Permanent(f"Application {app.name}: spec.project: {failure.message}") from None


def _declaration(
    app: Application, cluster: ClusterRow | None, rows: Mapping[str, RepositoryRow], parent_id: int | None
) -> Declaration:
    warnings = list(app.warnings)
    if cluster is None:
        meant = app.destination.name or app.destination.server or "(none named)"
        warnings.append(f"spec.destination: no cluster {meant} is registered; add it with driftline cluster add")
    refused = may_deploy(project_of(app.project), app, (cluster.server, cluster.name) if cluster else None)
    if refused:
        raise Permanent(f"Application {app.name}: {refused[0]}")
    return Declaration(
        name=app.name,
        document=normalised(app.document),
        project=app.project,
        parent_id=parent_id,
        cluster_id=cluster.id if cluster else None,
        namespace=app.destination.namespace,
        labels=app.labels,
        warnings=warnings,
        sources=[_source(app.name, source, rows[_named(source).url_normal]) for source in app.sources],
    )


def _source(app: str, source: Source, row: RepositoryRow) -> SourceDeclaration:
    named = _named(source)
    if named.kind != row.kind:
        hint = "name a chart of it" if row.kind == urls.HELM else "name a path of it and no chart"
        shown = urls.shown_url(source.repo_url)
        raise Permanent(f"Application {app}: spec.source.repoURL: {shown} is a {row.kind} repository; {hint}")
    return SourceDeclaration(
        named.url_normal, source.target_revision, source.path, row.id, source.tag_prefix, source.chart
    )


def _wake(db: Connection, declared: Declared, found: Sequence[Declaration]) -> list[Hint]:
    """Fetch what the new and changed ones read; the fetch then looks at each of them."""
    touched = [each for each in found if each.name in declared.created | declared.changed]
    repository_ids = {source.repository_id for each in touched for source in each.sources if source.repository_id}
    ids = jobs.request_many(db, [fetch_request(number) for number in sorted(repository_ids)])
    looks = jobs.request_many(db, [app_request(declared.ids[each.name]) for each in touched if not each.sources])
    return hints(ids + looks)


def _unique(apps: Sequence[Application]) -> None:
    names = [app.name for app in apps]
    for name in names:
        if names.count(name) > 1:
            raise Permanent(f"Application {name}: is declared twice; give each application a name of its own")


def _check_change(row: ApplicationRow, declaration: Declaration, upsert: bool) -> None:
    if row.deleting and not only_confirms(row.document, declaration.document):
        raise Permanent(f"Application {row.name}: is being deleted; wait until it is gone")
    if not upsert and row.document != declaration.document:
        raise Permanent(
            f"Application {row.name}: existing application spec is different, use upsert flag to force update"
        )


def _refuse_taken(declared: Declared) -> None:
    for name in sorted(declared.refused):
        raise Permanent(f"Application {name}: is declared by another application's manifests; change it there, in Git")


def _action(declared: Declared, name: str) -> str:
    if name in declared.created:
        return "created"
    return "changed" if name in declared.changed else "unchanged"


def cascades(document: Mapping[str, object]) -> bool:
    """Whether deleting the application deletes its objects: Argo CD's finalizer says so (DEL-01)."""
    metadata = document.get("metadata")
    finalizers = metadata.get("finalizers") if isinstance(metadata, dict) else None
    return isinstance(finalizers, list) and any(
        isinstance(each, str) and (each == FINALIZER or each.startswith(f"{FINALIZER}/")) for each in finalizers
    )
