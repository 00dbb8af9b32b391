"""The page of one application: its standing at the top, and one tab below it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, abort, redirect, request
from sqlalchemy import Connection

from driftline.adapters.store import alerts, applications, clusters, drifts, histories, syncs
from driftline.adapters.store.alerts import AlertRow
from driftline.adapters.store.applications import ApplicationRow
from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.store.drifts import DriftRow
from driftline.adapters.store.syncs import SyncRow
from driftline.desired.urls import shown_url
from driftline.drift.lines import lines
from driftline.flow import inspect
from driftline.flow.declare import cascades
from driftline.flow.situation import parsed
from driftline.model.errors import Failure
from driftline.model.masking import scrub_value
from driftline.model.objects import Key
from driftline.model.scrubbing import scrub
from service.api.shapes import confirmations
from service.security import safe_link, safe_url
from service.ui import diffs
from service.ui.freshness import Verdict, verdict
from service.ui.operations import Operation, PlanShown, key_text, operation, plan_shown
from service.ui.page import PAGE, address, application, argument, fragment, here, may, now, number_argument, page
from service.ui.policies import policy_of
from service.ui.resources import objects

LINK = "link.argocd.argoproj.io/"
ACTIONS = ("sync", "override", "update", "delete")
ENDED_SHOWN = 200

TABS = {
    "resources": "Resources",
    "diff": "Diff",
    "plan": "Plan",
    "drift": "Drift",
    "history": "History",
    "about": "About",
}
EXTRA_TABS = frozenset({"operation", "object", "delete"})
"""Tabs that are reached from a row or a button."""
LIVE_TABS = frozenset({"resources", "drift", "history", "operation"})
"""Tabs that come from the database, so that an open page may ask for them again and again."""


@dataclass(frozen=True)
class Source:
    """Where manifests come from, for people. `href` is empty unless it is safe to be clicked."""

    url: str
    href: str
    path: str
    revision: str
    found: str
    """The commit, or the version of a chart, that the revision named at the last look."""


@dataclass(frozen=True)
class Commit:
    """Who wrote what was found, as far as it was recorded."""

    subject: str = ""
    author: str = ""


@dataclass(frozen=True)
class Head:
    """The top of the page."""

    row: ApplicationRow
    verdict: Verdict
    cluster: ClusterRow | None
    parent: str
    operation: Operation | None
    drift: tuple[DriftRow, ...]
    alerts: tuple[AlertRow, ...]
    sources: tuple[Source, ...]
    commit: Commit
    links: tuple[tuple[str, str], ...]
    policy: str
    rights: frozenset[str]
    confirmations: tuple[str, ...] = ()
    """Objects whose deletion waits for a person's confirmation."""

    @property
    def oldest_drift(self) -> DriftRow | None:
        return min(self.drift, key=lambda each: each.found_at, default=None)


def show(name: str) -> Response:
    """The whole page."""
    row, tab = application(name), _tab()
    return page("application.html", **_values(row, tab))


def live(name: str) -> Response:
    """What of the page changes by itself."""
    row, tab = application(name), _tab()
    if tab not in LIVE_TABS:
        return fragment("application_head.html", **_head_values(row, tab))
    return fragment("application_live.html", **_values(row, tab))


def in_namespace(namespace: str, name: str) -> Response:
    """Argo CD's address of an application."""
    return redirect(address("show_application", {"tab": argument("tab")}, name=name), 302)  # type: ignore[return-value]


def _tab() -> str:
    found = argument("tab") or "resources"
    return found if found in TABS or found in EXTRA_TABS else "resources"


def _head_values(row: ApplicationRow, tab: str) -> dict[str, Any]:
    with here().store.read() as db:
        head = _head(db, row)
    live_url = address("live_application", request.args, name=row.name)
    return {"head": head, "app": row, "tab": tab, "tabs": TABS, "live_url": live_url}


def _values(row: ApplicationRow, tab: str) -> dict[str, Any]:
    values = _head_values(row, tab)
    try:
        return values | {"live_tab": tab in LIVE_TABS} | _CONTENT[tab](row)
    except Failure as failure:
        # One tab that fails leaves the rest of the page standing.
        return values | {"live_tab": False, "failure": failure.message}


def _head(db: Connection, row: ApplicationRow) -> Head:
    cluster = clusters.by_id(db, row.cluster_id) if row.cluster_id else None
    parent = applications.by_id(db, row.parent_id) if row.parent_id else None
    current = syncs.open_of(db, row.id) or (syncs.get(db, row.last_sync_id) if row.last_sync_id else None)
    spec = row.document.get("spec") or {}
    return Head(
        row=row,
        verdict=verdict(row, cluster, here().settings.verdict_age, now()),
        cluster=cluster,
        parent=parent.name if parent and may("get", parent) else "",
        operation=operation(current) if current else None,
        drift=tuple(drifts.open_of(db, row.id)),
        alerts=tuple(alerts.open_of(db, [f"app:{row.name}"])),
        sources=sources_of(spec, row.revisions or ()),
        commit=commit_of(row),
        links=links_of(row.document),
        policy=policy_of(spec),
        rights=frozenset(action for action in ACTIONS if may(action, row)),
        confirmations=tuple(key_text(each) for each in confirmations(row, current)),
    )


def sources_of(spec: Mapping[str, Any], revisions: Sequence[str]) -> tuple[Source, ...]:
    """The sources of a declaration with the commits that were found for them."""
    given = spec.get("sources") or [spec.get("source") or {}]
    found = []
    for position, each in enumerate(given if isinstance(given, list) else ()):
        if not isinstance(each, dict):
            continue
        url = str(each.get("repoURL", ""))
        found.append(
            Source(
                shown_url(url),
                safe_url(url) or "",
                str(each.get("path") or each.get("chart") or ""),
                str(each.get("targetRevision") or ("*" if each.get("chart") else "HEAD")),
                revisions[position] if position < len(revisions) else "",
            )
        )
    return tuple(found)


def commit_of(row: ApplicationRow) -> Commit:
    """What is recorded of the commit of the first source."""
    known = (row.summary or {}).get("commits") or [{}]
    first = known[0] if isinstance(known, list) and isinstance(known[0], dict) else {}
    return Commit(str(first.get("subject", "")), str(first.get("author", "")))


def links_of(document: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The links of a declaration's annotations: (label, URL), only those that are safe to be clicked."""
    annotations = (document.get("metadata") or {}).get("annotations")
    found = []
    for name, value in sorted(annotations.items()) if isinstance(annotations, dict) else ():
        if name.startswith(LINK) and (link := safe_link(value)):
            label, url = link
            found.append((name.removeprefix(LINK) if label == url else label, url))
    return tuple(found)


def _resources(row: ApplicationRow) -> dict[str, Any]:
    return {"objects": objects(inspect.tree(here(), row.name), number_argument("page") or 1)}


def _diff(row: ApplicationRow) -> dict[str, Any]:
    found = inspect.diff(here(), row.name)
    shown = [
        (each, () if diffs.too_large(each.text) else diffs.rows(each.text), diffs.too_large(each.text))
        for each in found
    ]
    return {"diffs": shown}


def _plan(row: ApplicationRow) -> dict[str, Any]:
    revision = argument("revision")
    prune = {"true": True, "false": False}.get(argument("prune"))
    found = inspect.plan(here(), row.name, revision, prune)
    shown: PlanShown = plan_shown(found.view)
    automated = (row.document.get("spec") or {}).get("syncPolicy", {}) or {}
    default = bool((automated.get("automated") or {}).get("prune"))
    return {
        "plan": shown,
        "plan_revisions": found.revisions,
        "plan_revision": revision,
        "plan_prune": default if prune is None else prune,
    }


def _drift(row: ApplicationRow) -> dict[str, Any]:
    before = number_argument("before")
    with here().store.read() as db:
        current = drifts.open_of(db, row.id)
        seen = drifts.page(db, row.id, before=before, limit=ENDED_SHOWN)
    ended = [each for each in seen if each.ended_at is not None]
    following = seen[-1].id if len(seen) == ENDED_SHOWN else None
    current.sort(key=lambda each: (each.found_at, each.key_id, each.path))
    return {"open_drift": current, "ended_drift": ended, "older": following, "before": before}


def _history(row: ApplicationRow) -> dict[str, Any]:
    before = number_argument("before")
    with here().store.read() as db:
        deployments = histories.of_application(db, row.id)
        operations = syncs.of_application(db, row.id, before=before, limit=PAGE)
    wanted = number_argument("rollback")
    chosen = next((each for each in deployments if each.number == wanted), None)
    return {
        "deployments": deployments,
        "operations": operations,
        "older": operations[-1].id if len(operations) == PAGE else None,
        "before": before,
        "rollback": chosen,
        # A form that is being filled in must not be exchanged below the reader's hands.
        "live_tab": chosen is None,
    }


def _operation(row: ApplicationRow) -> dict[str, Any]:
    number = number_argument("sync")
    with here().store.read() as db:
        found: SyncRow | None = syncs.get(db, number) if number is not None else None
    if found is None or found.application_id != row.id:
        abort(404, "There is no such operation of this application.")
    return {"shown_operation": operation(found)}


def _object(row: ApplicationRow) -> dict[str, Any]:
    try:
        key = Key.parse(argument("node", 1000))
    except ValueError:
        abort(404, "There is no such object in this application.")
    body = inspect.live_object(here(), row.name, key)
    return {"key": key, "manifest": "\n".join(lines(body)) if body is not None else None}


def _about(row: ApplicationRow) -> dict[str, Any]:
    info = [(name, text, safe_url(text)) for name, text in ((each, scrub(value)) for each, value in parsed(row).info)]
    return {"declaration": "\n".join(lines(scrub_value(row.document))), "info": info}


def _delete(row: ApplicationRow) -> dict[str, Any]:
    return {"objects": objects(inspect.tree(here(), row.name), 1), "cascades": cascades(row.document)}


_CONTENT: Mapping[str, Callable[[ApplicationRow], dict[str, Any]]] = {
    "resources": _resources,
    "diff": _diff,
    "plan": _plan,
    "drift": _drift,
    "history": _history,
    "operation": _operation,
    "object": _object,
    "about": _about,
    "delete": _delete,
}
