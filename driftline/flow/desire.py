"""What Git or a chart repository wants of one application now: revisions, render, and the objects it comes to.

Rendered once per content.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from sqlalchemy import Connection

from driftline.adapters.git import Fetched
from driftline.adapters.render.renderers import Renderers
from driftline.adapters.render.request import Rendered, RenderRequest
from driftline.adapters.sealing import context as sealed_for
from driftline.adapters.store import renders
from driftline.adapters.store.repositories import RepositoryRow
from driftline.desired import revision
from driftline.desired.finalise import Desired, finalise
from driftline.desired.inputs import Inputs
from driftline.desired.revision import Tracked
from driftline.desired.tree import Tree
from driftline.desired.urls import GIT, shown_url
from driftline.flow import charts
from driftline.flow.charts import NotFetched, RepositoryAway
from driftline.flow.commits import commit_fetched
from driftline.flow.dependencies import Cold, Pantry
from driftline.flow.desires import Target
from driftline.flow.edges import Edges
from driftline.flow.situation import Situation
from driftline.model.access import RepositoryAccess
from driftline.model.application import Application, Source
from driftline.model.digests import digest
from driftline.model.errors import Permanent


@dataclass(frozen=True)
class Wish:
    """What an application should be, at exact revisions."""

    desired: Desired
    revisions: tuple[str, ...]
    key: str
    """Content address of the render."""
    inputs: tuple[Inputs, ...]
    render_id: int | None = None
    """The stored render, or None while `content` is not stored yet."""
    content: bytes = field(default=b"", repr=False)
    """The render as JSON, to be sealed and stored with the plan."""


@dataclass(frozen=True)
class Known:
    """The render of the last look, by its content address; `anew` asks to render all the same (a hard refresh)."""

    key: str = ""
    render_id: int | None = None
    anew: bool = False


def resolve(edges: Edges, situation: Situation, overrides: Sequence[str] = ()) -> tuple[str, ...]:
    """The commits and chart versions that the sources point to, from what was fetched last.

    `overrides` go before their targetRevision.

    Raises Temporary for a repository that was never fetched, Permanent for a revision that cannot be resolved.
    """
    found = []
    places = zip(situation.app.sources, situation.repositories, situation.credentials, strict=True)
    for position, (source, row, credentials) in enumerate(places):
        if row.fetched_at is None:
            if row.failing_since is not None:
                raise RepositoryAway(row.message)
            raise NotFetched(f"{shown_url(row.url)}: is being fetched for the first time", row.id)
        tracked = _tracked(source, position, overrides)
        if row.kind == GIT:
            found.append(_commit(edges, credentials, row, tracked))
        else:
            found.append(charts.answer(row, tracked).version)
    return tuple(found)


def _tracked(source: Source, position: int, overrides: Sequence[str] = ()) -> Tracked:
    """What a source follows, or what a person asks for instead."""
    asked = overrides[position] if position < len(overrides) else ""
    return Tracked(asked or source.target_revision, source.tag_prefix, source.chart)


def _commit(edges: Edges, credentials: RepositoryAccess, row: RepositoryRow, tracked: Tracked) -> str:
    """The commit that is tracked in one repository."""
    try:
        return commit_fetched(edges, credentials, Fetched(row.refs or {}, row.head), tracked)
    except Permanent as unknown:
        if not row.refs and not row.head:
            raise Permanent(f"{shown_url(row.url)}: {_nothing_there(tracked.revision)}") from None
        raise Permanent(f"{shown_url(row.url)}: {unknown.message}") from None


def _nothing_there(wanted: str) -> str:
    """What to say where a host has nothing of what was asked for. Nobody asked for its other branches."""
    if wanted in ("", "HEAD"):
        return "the repository has no commits yet; push one to its default branch"
    return (
        f"there is no {wanted}; if the repository has no commits yet, push one to {wanted}, else follow another branch "
        "or tag (git ls-remote shows them)"
    )


def resolve_asked(edges: Edges, situation: Situation, overrides: Sequence[str] = ()) -> tuple[str, ...]:
    """The same for revisions that a person names: what no application follows is asked for now."""
    try:
        return resolve(edges, situation, overrides)
    except (Permanent, NotFetched):
        places = zip(situation.app.sources, situation.repositories, situation.credentials, strict=True)
        fetched = tuple(
            (_with_ref if row.kind == GIT else charts.with_answer)(
                edges, row, credentials, _tracked(source, position, overrides)
            )
            for position, (source, row, credentials) in enumerate(places)
        )
        return resolve(edges, replace(situation, repositories=fetched), overrides)


def _with_ref(edges: Edges, row: RepositoryRow, credentials: RepositoryAccess, tracked: Tracked) -> RepositoryRow:
    found = edges.mirrors.fetch(credentials, revision.wanted_refs(tracked.revision, tracked.tag_prefix))
    return replace(row, refs={**(row.refs or {}), **found.refs}, head=found.head or row.head)


def wish(
    edges: Edges,
    app: Application,
    repositories: Sequence[RepositoryRow],
    revisions: Sequence[str],
    target: Target,
    credentials: Sequence[RepositoryAccess],
    fast: bool = True,
    known: Known = Known(),
) -> Wish:
    """Render an application at exact commits, or take the render that has the same content.

    Another render of the same content than `known` is only looked for where making one means starting a tool.

    Raises Permanent or Temporary as the renderers do; `Cold` if `fast` is asked for and a tool has to be started.
    """
    trees = [
        charts.tree(edges, row, each, source.chart, found) if row.kind != GIT else tree_at(edges, each, source, found)
        for row, each, source, found in zip(repositories, credentials, app.sources, revisions, strict=True)
    ]
    named = {source.ref: tree for source, tree in zip(app.sources, trees, strict=True) if source.ref}
    pantry = Pantry(edges, app, fast, known.anew)
    requests = [
        RenderRequest(app, source, tree, named, target.version, target.api_versions, pantry)
        for source, tree in zip(app.sources, trees, strict=True)
        if has_manifests(source)
    ]
    inputs = tuple(edges.renderers.inputs(each) for each in requests)
    key = address(inputs)
    stored = None
    if key == known.key:
        stored = known.render_id
    elif any(cold(each) for each in inputs):
        with edges.store.read() as db:
            stored = renders.find(db, key)
    remembered = edges.desires.get(app, key, target) if stored and not known.anew else None
    if remembered is not None and stored is not None:
        return Wish(remembered, tuple(revisions), key, inputs, stored)
    row = None
    if stored is not None:
        with edges.store.read() as db:
            row = renders.by_id(db, stored)
    if row is not None and not known.anew:
        made = _open(edges, key, row.sealed)
    else:
        if fast and any(cold(each) for each in inputs):
            raise Cold(f"Application {app.name}: is rendered by a worker for slow work")
        made = _render(edges.renderers, requests)
        if row is not None:
            made = _steady(_open(edges, key, row.sealed), made)
    desired = _finalised(made, app, target)
    edges.desires.put(app, key, target, desired)
    content = b"" if row else orjson.dumps(made)
    return Wish(desired, tuple(revisions), key, inputs, row.id if row else None, content)


def has_manifests(source: Source) -> bool:
    """Whether a source is rendered; one that only lends its files to others is not."""
    return bool(source.path or source.chart or not source.ref)


def address(inputs: Sequence[Inputs]) -> str:
    """The content address of a render of several sources."""
    return digest([each.key for each in inputs])


def tree_at(edges: Edges, credentials: RepositoryAccess, source: Source, commit: str) -> Tree:
    """The files of a commit. Another machine may have fetched it: then this one's mirror asks for it once."""
    if not edges.mirrors.contains(credentials, commit):
        edges.mirrors.fetch(credentials, revision.wanted_refs(source.target_revision, source.tag_prefix))
        if not edges.mirrors.contains(credentials, commit):
            edges.mirrors.fetch(credentials, [commit])
    return edges.mirrors.tree(credentials, commit)


def cold(inputs: Inputs) -> bool:
    """Whether a render starts a tool: that is for the slow workers, so that no push waits behind it."""
    return not inputs.tool.lower().startswith("directory")


def stored_wish(edges: Edges, app: Application, render_id: int, revisions: Sequence[str], target: Target) -> Wish:
    """What a stored render holds: for rollbacks, and for a sync that goes on after a restart. Needs no Git host."""
    with edges.store.read() as db:
        row = renders.by_id(db, render_id)
    if row is None:
        raise Permanent(f"Application {app.name}: the stored render {render_id} is gone; sync it from Git instead")
    desired = edges.desires.get(app, row.key, target)
    if desired is None:
        desired = _finalised(_open(edges, row.key, row.sealed), app, target)
        edges.desires.put(app, row.key, target, desired)
    return Wish(desired, tuple(revisions), row.key, (), row.id)


def _finalised(made: dict[str, Any], app: Application, target: Target) -> Desired:
    """The objects of a render as they should be, with the render's own warnings."""
    desired = finalise(made["objects"], app, target.kinds, target.marks, made["origins"])
    return replace(desired, warnings=(*desired.warnings, *made["warnings"]))


def keep(db: Connection, edges: Edges, found: Wish) -> int:
    """Store the render of a wish, sealed under its content address, and return its id."""
    if found.render_id is not None:
        return found.render_id
    sealed = edges.sealer.seal(found.content, sealed_for("render", "sealed", found.key), compress=True)
    return renders.put(
        db, found.key, sealed, len(found.desired.objects), digest(sorted(found.desired.digests.values()))
    )


def _render(renderers: Renderers, requests: Sequence[RenderRequest]) -> dict[str, Any]:
    """What a stored render holds: objects, where each stands, and warnings, of all sources in order."""
    rendered = [renderers.render(each) for each in requests]
    return {
        "objects": [body for each in rendered for body in each.objects],
        "origins": [place for each in rendered for place in _places(each)],
        "warnings": [text for each in rendered for text in each.warnings],
    }


def _steady(stored: dict[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
    """The stored render, told apart from a fresh one of the same content.

    Only what is random or takes the time of day can differ. Taking it would change the cluster though Git did not.
    """
    before, after = ([digest(body) for body in made["objects"]] for made in (stored, fresh))
    if before == after:
        return stored
    others = [body for body, mark in zip(fresh["objects"], after, strict=True) if mark not in before]
    named = ", ".join(sorted({_named(body) for body in others})[:5]) or "the number of objects"
    warning = (
        f"RandomRenderWarning: {named}: rendered differently than before from the same files and values; "
        "what was rendered first is kept until Git changes. Give random values in a Secret of your own"
    )
    return {**stored, "warnings": [*stored["warnings"], warning]}


def _named(body: Any) -> str:
    metadata = body.get("metadata") if isinstance(body, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{body.get('kind', '?')} {name or '?'}" if isinstance(body, dict) else "?"


def _places(rendered: Rendered) -> list[str]:
    return [*rendered.origins, *[""] * (len(rendered.objects) - len(rendered.origins))]


def _open(edges: Edges, key: str, sealed: bytes) -> dict[str, Any]:
    made: dict[str, Any] = orjson.loads(edges.sealer.open(sealed, sealed_for("render", "sealed", key)))
    return made
