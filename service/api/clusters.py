"""Clusters. How to log in goes in and never comes out: answers name each field they show."""

from typing import Any

from flask import Response, jsonify

from driftline.adapters.cluster.kubeconfig import kubeconfig_of
from driftline.adapters.store import clusters as rows
from driftline.adapters.store.clusters import ClusterRow
from driftline.flow import registry
from driftline.model.access import ClusterAccess
from service.answers import Code, refuse
from service.api.asking import body, limit_of, section_in, text_in, wrong
from service.api.repositories import STATES
from service.api.routes import CONTINUE, LIMIT, Argument, Arguments, Need, Route, Scope
from service.api.serving import here, sees_all
from service.api.times import exact, stamp
from service.auth.guard import allowed, authorise, current_user, denied


def shape(row: ClusterRow) -> dict[str, Any]:
    """What people may see of a cluster."""
    return {
        "name": row.name,
        "server": row.server,
        "serverVersion": row.version,
        "connectionState": {
            "status": STATES.get(row.state, "Unknown"),
            "message": row.message,
            "attemptedAt": stamp(row.checked_at),
        },
        "uid": row.uid,
        "watchedAt": exact(row.watch_bookmark_at),
        "failingSince": stamp(row.failing_since),
    }


def _may(row: ClusterRow, action: str) -> bool:
    # Argo CD's policies name a cluster by its URL; ours may use its name, which is shorter and tells two apart.
    return allowed("clusters", action, row.server) or allowed("clusters", action, row.name)


def listed(asked: Arguments) -> Response:
    """The clusters that the user may see."""
    limit, after = limit_of(asked), asked["continue"] or ""
    with here().store.read() as db:
        everything = rows.everything(db)
    seen = [row for row in everything if row.name > after and _may(row, "get")]
    for name in ("name", "server"):
        seen = [row for row in seen if not asked[name] or getattr(row, name) == asked[name]]
    more = {"continue": seen[limit - 1].name} if len(seen) > limit else {}
    return jsonify(metadata=more, items=[shape(row) for row in seen[:limit]])


def added(asked: Arguments) -> Response:
    """Register a cluster, after asking it who it is."""
    found, upsert = body(), bool(asked["upsert"])
    name, server = text_in(found, "name"), text_in(found, "server")
    if not name or not server or "/" in name or len(name) > 253:
        wrong("name and server: a cluster needs a name without slashes, and its https:// URL")
    authorise("clusters", "create", server)
    if upsert:
        authorise("clusters", "update", server)
        _no_takeover(name)
    config = section_in(found, "config")
    text = text_in(found, "kubeconfig") or kubeconfig_of(name, server, config)
    row = registry.add_cluster(here(), ClusterAccess(name, server, text), current_user().name, upsert)
    return jsonify(shape(row))


def _no_takeover(name: str) -> None:
    """Nobody points a name at another server who may not change the cluster that has it."""
    with here().store.read() as db:
        known = rows.get(db, name)
    if known is not None and not _may(known, "update"):
        denied()


def got(asked: Arguments, cluster: str) -> Response:
    """One cluster, by name or URL."""
    return jsonify(shape(_find(cluster, "get")))


def removed(asked: Arguments, cluster: str) -> Response:
    """Forget a cluster that no application deploys to."""
    row = _find(cluster, "delete")
    registry.remove_cluster(here(), row.name, current_user().name)
    return jsonify({})


def _find(named: str, action: str) -> ClusterRow:
    with here().store.read() as db:
        row = None if "\x00" in named else rows.get(db, named)
        known = [row] if row else [] if "\x00" in named else rows.by_server(db, named)
    if len(known) > 1:
        wrong(f"{named}: several clusters have this URL; use the name")
    if not known or not _may(known[0], "get"):
        if not known and sees_all("clusters"):
            refuse(404, f"cluster {named[:200]}: is not registered", Code.NOT_FOUND)
        denied()
    if not _may(known[0], action):
        denied()
    return known[0]


ROUTES = (
    Route(
        "GET",
        "/api/v1/clusters",
        listed,
        "List clusters",
        Need("clusters", "get", Scope.LISTED),
        (Argument("name", "Only this one."), Argument("server", "Only those at this URL."), LIMIT, CONTINUE),
        answer="ClusterList",
    ),
    Route(
        "POST",
        "/api/v1/clusters",
        added,
        "Register a cluster",
        Need("clusters", "create", Scope.NAMED),
        (Argument("upsert", "Change it if it is registered already.", "boolean"),),
        body="ClusterRequest",
        answer="Cluster",
    ),
    Route(
        "GET", "/api/v1/clusters/{cluster}", got, "One cluster", Need("clusters", "get", Scope.NAMED), answer="Cluster"
    ),
    Route("DELETE", "/api/v1/clusters/{cluster}", removed, "Forget a cluster", Need("clusters", "delete", Scope.NAMED)),
)
