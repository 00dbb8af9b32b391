"""Repositories: how to reach them, what their refs or charts were, how they are. Called by flow and service.

Credentials and hook secrets are sealed with the context of the row's `hook_id`.
"""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, func, or_, select, update

from driftline.adapters.store.columns import Shape, chunks, db_now, excluded, insert
from driftline.adapters.store.errors import Contention
from driftline.adapters.store.tables.applications import source
from driftline.adapters.store.tables.edges import repository
from driftline.desired.revision import Tracked

OK = "ok"
UNREACHABLE = "unreachable"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class RepositoryRow:
    """A row. `kind` is `git`, `helm` or `oci`; `hook_id` names it in webhook URLs.

    `refs` maps full ref names to commits as last fetched; `charts` holds, for a repository of charts, what the
    revisions that applications follow came to (`releases.Answer` as JSON). `options` is None for a repository that
    nobody registered: an application named it.
    """

    id: int
    project: str
    kind: str
    url: str
    url_normal: str
    is_template: bool
    credentials: bytes | None
    options: dict[str, Any] | None
    hook_id: str
    hook_secret: bytes | None
    refs: dict[str, str] | None
    charts: list[dict[str, str]] | None
    head: str
    fetched_at: datetime | None
    state: str
    message: str
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class NewRepository:
    """What is saved for a repository, or for a template: credentials for every URL that starts with its own."""

    url: str
    url_normal: str
    project: str = ""
    kind: str = "git"
    is_template: bool = False
    options: Mapping[str, Any] | None = None
    credentials: bytes | None = None
    hook_secret: bytes | None = None


SHAPE = Shape(RepositoryRow, repository)


def new_hook_id() -> str:
    """A name for webhook URLs that cannot be guessed. Made first, because credentials are sealed for it."""
    return secrets.token_urlsafe(16)


def hook_id_for(db: Connection, project: str, url_normal: str, is_template: bool = False) -> str:
    """The hook id of a repository that is there, or a new one for a repository that is about to be saved."""
    at = (repository.c.project == project, repository.c.url_normal == url_normal)
    found = db.execute(SHAPE.select().where(*at, repository.c.is_template.is_(is_template)))
    row = SHAPE.first(found)
    return row.hook_id if row else new_hook_id()


def save(db: Connection, new: NewRepository, hook_id: str) -> RepositoryRow:
    """Add a repository, or change the one of the same project and URL; the hook id of a row never changes.

    Secrets that are None in `new` stay as they are. Raises Contention (so that `transact` runs the unit again) if
    another transaction added the repository under another hook id, for which our secrets are not sealed.
    """
    statement = insert(db, repository).values(
        project=new.project,
        kind=new.kind,
        url=new.url,
        url_normal=new.url_normal,
        is_template=new.is_template,
        options=new.options,
        credentials=new.credentials,
        hook_id=hook_id,
        hook_secret=new.hook_secret,
        state=UNKNOWN,
        created_at=db_now(),
        updated_at=db_now(),
    )
    given = excluded(repository)
    kept = {name: func.coalesce(given[name], repository.c[name]) for name in ("options", "credentials", "hook_secret")}
    statement = statement.on_conflict_do_update(
        index_elements=["project", "url_normal", "is_template"],
        set_={**kept, "url": given.url, "kind": given.kind, "updated_at": db_now()},
    )
    saved = SHAPE.read(db.execute(statement.returning(*SHAPE.columns)).one())
    if saved.hook_id != hook_id:
        raise Contention(f"{new.url}: the repository was added by someone else at the same time; try again")
    return saved


def by_id(db: Connection, repository_id: int) -> RepositoryRow | None:
    """One repository."""
    return SHAPE.first(db.execute(SHAPE.select().where(repository.c.id == repository_id)))


def by_hook(db: Connection, hook_id: str) -> RepositoryRow | None:
    """The repository that a webhook URL names."""
    return SHAPE.first(db.execute(SHAPE.select().where(repository.c.hook_id == hook_id)))


def by_urls(db: Connection, urls: Iterable[str]) -> list[RepositoryRow]:
    """Every repository, of any project, that has one of these normalised URLs."""
    real = repository.c.is_template.is_(False)
    found: list[RepositoryRow] = []
    for some in chunks(sorted(set(urls))):
        query = SHAPE.select().where(repository.c.url_normal.in_(some), real).order_by(repository.c.id)
        found += SHAPE.all(db.execute(query))
    return found


@dataclass(frozen=True)
class Announced:
    """A repository that a delivery is about, and what applications follow in it."""

    id: int
    kind: str
    url_normal: str
    followed: tuple[Tracked, ...]


_ANNOUNCED = (
    select(
        repository.c.id,
        repository.c.kind,
        repository.c.url_normal,
        source.c.target_revision,
        source.c.tag_prefix,
        source.c.chart,
    )
    .join(source, source.c.repository_id == repository.c.id)
    .where(repository.c.url_normal.in_(bindparam("urls", expanding=True)), repository.c.is_template.is_(False))
    .distinct()
    .order_by(repository.c.id)
)
_ANNOUNCED_BY_HOOK = _ANNOUNCED.where(repository.c.hook_id == bindparam("of_hook"))


def announced(db: Connection, urls: Iterable[str], hook_id: str = "") -> list[Announced]:
    """Repositories with one of these normalised URLs that some application reads, in one narrow statement.

    With `hook_id` only the one of that hook: its secret proves pushes of its own repository.
    """
    followed: dict[tuple[int, str, str], list[Tracked]] = defaultdict(list)
    for some in chunks(sorted(set(urls))):
        values: dict[str, Any] = {"urls": some, **({"of_hook": hook_id} if hook_id else {})}
        for number, kind, url, *target in db.execute(_ANNOUNCED_BY_HOOK if hook_id else _ANNOUNCED, values):
            followed[number, kind, url].append(Tracked(*target))
    return [Announced(*row, tuple(targets)) for row, targets in followed.items()]


def for_application(db: Connection, url_normal: str, project: str) -> RepositoryRow | None:
    """The repository that an application of `project` uses for a URL: its project's own, else everybody's."""
    rows = {row.project: row for row in by_urls(db, [url_normal])}
    return rows.get(project) or rows.get("")


def everything(db: Connection, projects: Sequence[str] | None = None, templates: bool = False) -> list[RepositoryRow]:
    """All repositories (or all templates), by URL; of some projects only if they are given."""
    query = SHAPE.select().where(repository.c.is_template.is_(templates)).order_by(repository.c.url_normal)
    return SHAPE.all(db.execute(query if projects is None else query.where(repository.c.project.in_(projects))))


def template_for(db: Connection, url_normal: str, project: str) -> RepositoryRow | None:
    """The template with the longest URL that covers this one at a path boundary, of the project or of everybody."""
    return template_among(everything(db, ["", project], templates=True), url_normal, project)


def template_among(rows: Sequence[RepositoryRow], url_normal: str, project: str) -> RepositoryRow | None:
    """The same among templates that were read before."""
    allowed = [row for row in rows if row.project in ("", project)]
    fitting = [row for row in allowed if _covers(row.url_normal.rstrip("/"), url_normal)]
    return max(fitting, key=lambda row: (len(row.url_normal), row.project == project), default=None)


@dataclass(frozen=True)
class Named:
    """A repository as an application names it."""

    url: str
    url_normal: str
    kind: str = "git"


def ensure_many(db: Connection, named: Iterable[Named]) -> dict[str, RepositoryRow]:
    """The repositories that everybody may use, by normalised URL; those nobody registered are added.

    A row that is there keeps its kind, which may be another one than `named` says.
    """
    wanted = {each.url_normal: each for each in named}
    found = {row.url_normal: row for row in by_urls(db, wanted) if row.project == ""}
    missing = sorted(wanted.keys() - found.keys())
    if missing:
        statement = insert(db, repository).values(
            project="", is_template=False, state=UNKNOWN, created_at=db_now(), updated_at=db_now()
        )
        rows = [
            {
                "url": wanted[normal].url,
                "url_normal": normal,
                "kind": wanted[normal].kind,
                "hook_id": new_hook_id(),
            }
            for normal in missing
        ]
        db.execute(statement.on_conflict_do_nothing(), rows)
        found = {row.url_normal: row for row in by_urls(db, wanted) if row.project == ""}
    return found


def set_kind(db: Connection, repository_id: int, kind: str) -> None:
    """Let a repository be of another kind; what was fetched of it as the old one is forgotten."""
    change = update(repository).where(repository.c.id == repository_id)
    fresh = {"refs": None, "charts": None, "head": "", "fetched_at": None, "failing_since": None, "message": ""}
    db.execute(change.values(kind=kind, state=UNKNOWN, updated_at=db_now(), **fresh))


def of_application(db: Connection, application_id: int) -> list[RepositoryRow]:
    """The repositories of an application's sources, one for each source, in order."""
    query = SHAPE.select().join(source, source.c.repository_id == repository.c.id)
    rows = db.execute(query.where(source.c.application_id == application_id).order_by(source.c.position))
    return SHAPE.all(rows)


def unfetched_since(db: Connection, at: datetime) -> list[int]:
    """Repositories that applications read and that were not fetched since `at`."""
    used = select(source.c.repository_id)
    old = or_(repository.c.fetched_at.is_(None), repository.c.fetched_at < at)
    return list(db.execute(select(repository.c.id).where(repository.c.id.in_(used), old)).scalars())


def set_fetched(db: Connection, repository_id: int, refs: Mapping[str, str], head: str = "") -> None:
    """Record the refs of a successful fetch: the repository is well."""
    change = update(repository).where(repository.c.id == repository_id)
    well = {"state": OK, "message": "", "failing_since": None, "fetched_at": db_now(), "updated_at": db_now()}
    db.execute(change.values(refs=dict(refs), head=head, **well))


def set_charts(db: Connection, repository_id: int, answers: Sequence[Mapping[str, str]], well: bool = True) -> None:
    """Record what a look at a repository of charts came to: the repository is well, or else stays what it was."""
    change = update(repository).where(repository.c.id == repository_id)
    state = {"state": OK, "message": "", "failing_since": None} if well else {}
    db.execute(change.values(charts=list(answers), fetched_at=db_now(), updated_at=db_now(), **state))


def set_failed(db: Connection, repository_id: int, message: str) -> datetime:
    """Record that a repository could not be read; refs and head stay. Returns since when it has been failing."""
    since = case((repository.c.failing_since.is_(None), db_now()), else_=repository.c.failing_since)
    change = update(repository).where(repository.c.id == repository_id)
    change = change.values(state=UNREACHABLE, message=message, failing_since=since, updated_at=db_now())
    found: datetime = db.execute(change.returning(repository.c.failing_since)).scalar_one()
    return found


def remove(db: Connection, repository_id: int) -> bool:
    """Forget a repository; applications that read it keep their URL. False if there was none."""
    return db.execute(delete(repository).where(repository.c.id == repository_id)).rowcount == 1


def _covers(prefix: str, url: str) -> bool:
    # A bare prefix would hand the credentials for host/team to host/team-of-others.
    return url == prefix or url.startswith(f"{prefix}/")
