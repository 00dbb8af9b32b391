"""Saves what Git or a person declares: one application or the hundreds of an app of apps. Called by flow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, delete, select

from driftline.adapters.store.columns import chunks, db_now, excluded, insert
from driftline.adapters.store.tables.applications import application, source
from driftline.model.digests import digest


@dataclass(frozen=True)
class SourceDeclaration:
    """One source: which repository (by normalised URL; `repository_id` once it is known), where and what to follow."""

    url_normal: str
    target_revision: str = ""
    path: str = ""
    repository_id: int | None = None
    tag_prefix: str = ""
    chart: str = ""


@dataclass(frozen=True)
class Declaration:
    """One application as declared, with ids where they are known. `parent_id` is the application that brings it."""

    name: str
    document: Mapping[str, Any]
    project: str = "default"
    parent_id: int | None = None
    cluster_id: int | None = None
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    sources: Sequence[SourceDeclaration] = ()

    @property
    def digest(self) -> str:
        return digest(
            [
                self.document,
                self.project,
                self.parent_id,
                self.cluster_id,
                self.namespace,
                dict(self.labels),
                list(self.warnings),
                [
                    [each.url_normal, each.target_revision, each.path, each.repository_id, each.tag_prefix]
                    for each in self.sources
                ],
            ]
        )


@dataclass(frozen=True)
class Declared:
    """What was saved. `ids` has every application that now is as declared, by name."""

    ids: Mapping[str, int]
    created: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    """Names whose declaration differs from before; the created ones are not among them."""
    refused: Mapping[str, int | None] = field(default_factory=dict)
    """Names that belong to another parent (its id, None: to a person): nothing was written for them."""


def declare(db: Connection, declaration: Declaration) -> Declared:
    """Save one declaration; see `declare_many`."""
    return declare_many(db, [declaration])


def declare_many(db: Connection, declarations: Sequence[Declaration]) -> Declared:
    """Save declarations in at most four statements; an unchanged one is read, not written.

    Each change raises the generation. Status, pause and pin are left alone. Names must be unique among `declarations`.
    An application is never taken from another parent: two that bring the same name would prune each other's objects.
    """
    wanted = {each.name: each for each in sorted(declarations, key=lambda each: each.name)}
    known = _known(db, list(wanted))
    refused = {name: known[name][1] for name in wanted if name in known and known[name][1] != wanted[name].parent_id}
    fresh = [
        each
        for name, each in wanted.items()
        if name not in refused and (name not in known or known[name][2] != each.digest)
    ]
    ids = {name: known[name][0] for name in wanted if name in known and name not in refused}
    written = _write(db, fresh) if fresh else {}
    # A rival that declared the same name between our read and our write wins: the row was not returned.
    refused |= {each.name: None for each in fresh if each.name not in written}
    ids = {name: number for name, number in (ids | written).items() if name not in refused}
    _write_sources(db, [(written[each.name], each) for each in fresh if each.name in written])
    return Declared(
        ids,
        created=frozenset(written.keys() - known.keys()),
        changed=frozenset(written.keys() & known.keys()),
        refused=refused,
    )


def _known(db: Connection, names: Sequence[str]) -> dict[str, tuple[int, int | None, str]]:
    columns = (application.c.name, application.c.id, application.c.parent_id, application.c.declared_digest)
    found: dict[str, tuple[int, int | None, str]] = {}
    for some in chunks(names):
        rows = db.execute(select(*columns).where(application.c.name.in_(some)))
        found.update((name, (number, parent, known)) for name, number, parent, known in rows)
    return found


def _write(db: Connection, fresh: Sequence[Declaration]) -> dict[str, int]:
    """Insert or update; return name -> id of the rows written."""
    rows = db.execute(
        _writing(db.dialect.name),
        [
            {
                "name": each.name,
                "document": each.document,
                "declared_digest": each.digest,
                "project": each.project,
                "parent_id": each.parent_id,
                "cluster_id": each.cluster_id,
                "namespace": each.namespace,
                "labels": each.labels,
                "warnings": list(each.warnings),
            }
            for each in fresh
        ],
    )
    return dict(rows.all())


@cache
def _writing(dialect: str) -> Insert:
    new = excluded(application)
    kept = ("document", "declared_digest", "project", "cluster_id", "namespace", "labels", "warnings")
    again = {"generation": application.c.generation + 1, "updated_at": db_now()}
    statement = insert(dialect, application).values(created_at=db_now(), updated_at=db_now())
    statement = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={**{name: new[name] for name in kept}, **again},
        where=application.c.parent_id.is_not_distinct_from(new.parent_id),
    )
    return statement.returning(application.c.name, application.c.id)


def _write_sources(db: Connection, fresh: Sequence[tuple[int, Declaration]]) -> None:
    for some in chunks([number for number, _ in fresh]):
        db.execute(delete(source).where(source.c.application_id.in_(some)))
    rows = [
        {
            "application_id": number,
            "position": position,
            "repository_id": each.repository_id,
            "url_normal": each.url_normal,
            "target_revision": each.target_revision,
            "path": each.path,
            "tag_prefix": each.tag_prefix,
            "chart": each.chart,
        }
        for number, declaration in fresh
        for position, each in enumerate(declaration.sources)
    ]
    if rows:
        db.execute(insert(db, source), rows)
