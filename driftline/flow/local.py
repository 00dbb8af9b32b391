"""Compare a checkout on this machine with a cluster, without database or server: for `app diff|plan --local`.

What an installation would know from its database is taken from the cluster's marks: an object that carries the
application's own tracking id counts as its own. Nothing is written, dry runs aside.
"""

import secrets
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from driftline.adapters.cluster.cluster import connect
from driftline.adapters.render.local import DirectoryTree
from driftline.adapters.render.renderers import Renderers
from driftline.adapters.render.request import RenderRequest
from driftline.adapters.settings import Settings
from driftline.desired.finalise import Desired, finalise
from driftline.drift.diff import text_diff
from driftline.flow.assemble import render_settings
from driftline.flow.comparing import Comparer
from driftline.flow.desires import api_versions_of
from driftline.flow.inspect import ObjectDiff
from driftline.flow.inspect import _masked as masked_sides
from driftline.flow.plans import fields_view, plan_view
from driftline.flow.reading import Reader, live_seen
from driftline.flow.schemas import SchemaCache
from driftline.formats.application import application
from driftline.model.access import ClusterAccess
from driftline.model.application import Application
from driftline.model.drift import Verdict, VerdictState
from driftline.model.errors import Permanent
from driftline.model.marks import INSTALLATION_LABEL, Marks, tracked_by
from driftline.model.objects import Key, Object, key_of, labels_of
from driftline.sync.given import LiveSeen, Owned, PlanInput, PlanOptions, Wanted
from driftline.sync.planning import plan

UNKNOWN_INSTALLATION = "a" * 26
"""Stands for the installation's id where no live object of the application tells it."""


@dataclass(frozen=True)
class LocalView:
    """What a sync of the checkout would do, for people."""

    view: Mapping[str, Any]
    empty: bool
    differences: tuple[ObjectDiff, ...]


@dataclass(frozen=True)
class _Seen:
    """The cluster's side: what is there of what is wanted, and what of ours is not wanted any more."""

    bodies: Mapping[Key, Object | None]
    unreadable: Mapping[Key, Verdict] = field(default_factory=dict)
    extras: Mapping[Key, Object] = field(default_factory=dict)


def local_plan(
    document: Object, checkout: Path, kubeconfig: str, settings: Settings, prune: bool | None = None
) -> LocalView:
    """Plan a sync of an application from `checkout` (of its repository, or its directory in it).

    `kubeconfig` is the text of one with a single context. Raises Permanent for what is wrong with the declaration or
    the manifests, ClusterUnreachable if there is no answer.
    """
    app, tree = _placed(application(document), checkout)
    with (
        tempfile.TemporaryDirectory(prefix="driftline-") as directory,
        _reader(kubeconfig, settings, directory) as reader,
    ):
        # Keys of our own, for this once: what is masked is shown here and nowhere else.
        settings = replace(settings, data_dir=Path(directory), secret_key=secrets.token_urlsafe(32))
        unmarked = _render(app, tree, reader, settings, Marks(UNKNOWN_INSTALLATION, app.name))
        marks = Marks(_installation(app, unmarked, reader), app.name)
        desired = _render(app, tree, reader, settings, marks)
        return _compared(app, desired, marks, reader, settings, prune)


@contextmanager
def _reader(kubeconfig: str, settings: Settings, directory: str) -> Iterator[Reader]:
    """Reads from the cluster of a kubeconfig of the user's own, which may name programs: they are the user's, too."""
    private = replace(settings, cluster_private_kubeconfig=True, data_dir=Path(directory))
    cluster = connect(ClusterAccess("local", "", kubeconfig), private)
    with ThreadPoolExecutor(16) as pool:
        yield Reader(cluster, cluster.kinds(), pool)


def _placed(app: Application, checkout: Path) -> tuple[Application, DirectoryTree]:
    """The application with paths that fit the checkout: its root, or the application's own directory."""
    if len(app.sources) > 1 and not all((checkout / source.path).is_dir() for source in app.sources):
        raise Permanent(
            f"{checkout}: application {app.name} has several sources; give a checkout that holds all of them"
        )
    source = app.sources[0]
    if source.chart:
        raise Permanent(f"Application {app.name}: its source is a chart of a Helm repository, not a directory of Git")
    inside = Path(source.path or ".")
    if (checkout / inside).is_dir():
        return app, DirectoryTree(checkout)
    place, tail = checkout.resolve(), inside.parts
    if place.parts[-len(tail) :] == tail:
        return app, DirectoryTree(Path(*place.parts[: -len(tail)]))
    raise Permanent(f"{checkout}: has no directory {source.path}; give a checkout of {app.name}'s repository")


def _render(app: Application, tree: DirectoryTree, reader: Reader, settings: Settings, marks: Marks) -> Desired:
    references = {source.ref: tree for source in app.sources if source.ref}
    version, served = reader.cluster.version(), api_versions_of(reader.kinds)
    renderers = Renderers(render_settings(settings))
    try:
        rendered = [
            renderers.render(RenderRequest(app, source, tree, references, version, served))
            for source in app.sources
            if source.path or not source.ref
        ]
    finally:
        renderers.close()
    objects = [body for each in rendered for body in each.objects]
    origins = [origin for each in rendered for origin in each.origins]
    return finalise(objects, app, reader.kinds, marks, origins)


def _installation(app: Application, desired: Desired, reader: Reader) -> str:
    """The installation's id, as most of the live objects of this application have it."""
    reads = reader.read({key: str(body["apiVersion"]) for key, body in desired.objects.items()})
    found: Counter[str] = Counter()
    for body in reads.found.values():
        tracked = tracked_by(body) if body is not None else None
        if body is not None and tracked is not None and tracked.application == app.name:
            found[str(labels_of(body).get(INSTALLATION_LABEL, ""))] += 1
    found.pop("", None)
    return found.most_common(1)[0][0] if found else UNKNOWN_INSTALLATION


def _compared(
    app: Application, desired: Desired, marks: Marks, reader: Reader, settings: Settings, prune: bool | None
) -> LocalView:
    comparer = Comparer(reader, SchemaCache(), marks, app.destination.namespace, app.ignore, datetime.now(UTC))
    seen = _see(desired, marks, reader)
    present = [key for key, body in seen.bodies.items() if body is not None]
    judged = reader.pool.map(lambda key: comparer.examine(key, desired.objects[key], seen.bodies[key], None), present)
    verdicts = {**seen.unreadable, **dict(zip(present, judged, strict=True))}
    live = _live(seen, desired, marks, comparer)
    wanted = {key: Wanted(body, desired.digests[key]) for key, body in desired.objects.items()}
    owned = {
        key: Owned(each.uid, wanted[key].digest if key in wanted else "")
        for key, each in live.items()
        if each is not None and each.marked
    }
    asked = prune if prune is not None else bool(app.automated and app.automated.prune)
    made = plan(
        PlanInput(
            wanted=wanted,
            verdicts=verdicts,
            owned=owned,
            live=live,
            options=PlanOptions(
                application=app.name,
                prune=asked,
                budget_count=settings.prune_budget,
                budget_percent=settings.prune_budget_percent,
                sync_options=app.sync_options,
                skip_hooks=True,
                destination_namespace=app.destination.namespace,
            ),
        )
    )
    made = replace(made, problems=made.problems + desired.problems)
    secret = settings.signing_key.encode()
    differences = tuple(_differences(seen, desired, verdicts, secret))
    return LocalView(
        plan_view(made, secret), made.empty and not made.held and not made.problems and not made.refused, differences
    )


def _see(desired: Desired, marks: Marks, reader: Reader) -> _Seen:
    """Read what is wanted by name, and find what of the same kinds carries the application's mark besides."""
    versions = {key: str(body["apiVersion"]) for key, body in desired.objects.items()}
    reads = reader.read(versions)
    unreadable = {
        key: Verdict(key, VerdictState.UNKNOWN, reason=getattr(failure, "message", str(failure)))
        for key, failure in reads.failed.items()
    }
    extras: dict[Key, Object] = {}
    for key in {key.group_kind: key for key in versions}.values() if marks.installation != UNKNOWN_INSTALLATION else ():
        resource = reader.resource(key, versions[key])
        if resource is None or key in unreadable:
            continue
        for body in reader.cluster.list(resource, "", f"{INSTALLATION_LABEL}={marks.installation}").items:
            tracked = tracked_by(body)
            if tracked is not None and tracked.application == marks.application and key_of(body) not in versions:
                extras[key_of(body)] = body
    return _Seen(reads.found, unreadable, extras)


def _live(seen: _Seen, desired: Desired, marks: Marks, comparer: Comparer) -> dict[Key, LiveSeen | None]:
    found: dict[Key, LiveSeen | None] = {}
    for key, body in {**seen.bodies, **seen.extras}.items():
        wanted = desired.objects.get(key)
        context = comparer.context(wanted, None) if wanted is not None and body is not None else None
        found[key] = live_seen(body, marks, wanted, context)
    return found


def _differences(seen: _Seen, desired: Desired, verdicts: Mapping[Key, Verdict], secret: bytes) -> Iterator[ObjectDiff]:
    """What differs, by key; an object that could not be read is named with the reason."""
    for key in sorted({*desired.objects, *seen.extras}):
        body, wanted = seen.bodies.get(key, seen.extras.get(key)), desired.objects.get(key)
        verdict = verdicts.get(key)
        if verdict is not None and verdict.in_sync:
            continue
        before, after = masked_sides(body, wanted)
        state = "extra" if wanted is None else "missing" if verdict is None else str(verdict.state)
        fields: Sequence[Mapping[str, Any]] = ()
        if verdict is not None:
            fields = fields_view(key, (*verdict.fields, *verdict.leftovers), secret)
        yield ObjectDiff(key, state, text_diff(before, after, str(key)), fields, verdict.reason if verdict else "")
