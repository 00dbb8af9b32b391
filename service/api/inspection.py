"""Look into one application: its tree, its objects in Git and in the cluster, its differences, its plan."""

from typing import Any

import orjson
from flask import Response, jsonify

from driftline.adapters.store.applications import ApplicationRow
from driftline.adapters.store.objects import ObjectState
from driftline.flow import inspect
from driftline.flow.inspect import Node, ObjectDiff
from driftline.flow.operate import check_revision
from driftline.flow.situation import parsed
from driftline.formats.application import GROUP
from driftline.model.objects import Key, Object, key_of
from service.answers import Code, refuse
from service.api import shapes
from service.api.asking import before_of, limit_of, wrong
from service.api.routes import CONTINUE, LIMIT, Argument, Arguments, Need, Route, Scope
from service.api.serving import here
from service.api.times import stamp


def tree(asked: Arguments, row: ApplicationRow) -> Response:
    """The managed objects as nodes, as the database knows them; no cluster is asked."""
    nodes = [_node(each) for each in inspect.tree(here(), row.name)]
    return jsonify(nodes=nodes, orphanedNodes=[], hosts=[])


def _node(node: Node) -> dict[str, Any]:
    return {
        **shapes.ref(node.key, node.api_version),
        "uid": node.uid,
        "parentRefs": [shapes.ref(parent) for parent in node.parents],
        "info": [{"name": "State", "value": node.reason}] if node.reason else [],
        "health": shapes.health_of(node),
        "status": node.sync_status,
        "syncWave": node.wave,
        "driftedFields": node.drifted_fields,
        "seenAt": stamp(node.seen_at),
    }


def manifests(asked: Arguments, row: ApplicationRow) -> Response:
    """What Git wants, each object as JSON text, secrets masked."""
    wanted = _revision(asked, row)
    found = inspect.manifests(here(), row.name, wanted)
    spec = row.document.get("spec") or {}
    destination = spec.get("destination") or {}
    return jsonify(
        manifests=[_text(each) for each in found],
        namespace=destination.get("namespace", ""),
        server=destination.get("server") or destination.get("name", ""),
        revision=wanted or (row.revisions or [""])[0],
        sourceType=shapes.source_type(row.summary),
    )


def _revision(asked: Arguments, row: ApplicationRow) -> str:
    """Another revision than the tracked one, if one was named and could be one. Raises Permanent."""
    wanted: str = asked["revision"] or ""
    if wanted:
        check_revision(parsed(row), wanted)
    return wanted


def _text(body: Object | None) -> str:
    return orjson.dumps(body).decode() if body is not None else ""


def managed(asked: Arguments, row: ApplicationRow) -> Response:
    """Each managed object as Git wants it, as it is in the cluster, and what differs; a page at a time, by key."""
    edges, limit = here(), limit_of(asked)
    wanted = {key_of(body): body for body in inspect.manifests(edges, row.name)}
    nodes = {node.key: node for node in inspect.tree(edges, row.name) if not node.cluster}
    differences = {each.key: each for each in inspect.diff(edges, row.name)}
    keys = sorted(key for key in {*wanted, *nodes} if _asked_for(key, asked))
    start = before_of(asked) or 0
    page = keys[start : start + limit]
    there = [key for key in page if key in nodes and key.group != GROUP]
    live = dict(zip(there, edges.pool.map(lambda key: inspect.live_object(edges, row.name, key), there), strict=True))
    items = [
        {**_managed(key, wanted.get(key), nodes.get(key), differences.get(key)), "liveState": _text(live.get(key))}
        for key in page
    ]
    more = {"continue": str(start + limit)} if len(keys) > start + limit else {}
    return jsonify(metadata=more, items=items)


def _asked_for(key: Key, asked: Arguments) -> bool:
    given = {name: asked[name] for name in ("group", "kind", "namespace", "name") if asked[name]}
    return all(getattr(key, name) == value for name, value in given.items())


def _managed(key: Key, body: Object | None, node: Node | None, difference: ObjectDiff | None) -> dict[str, Any]:
    api_version = str(body["apiVersion"]) if body else node.api_version if node else ""
    return {
        **shapes.ref(key, api_version),
        "targetState": _text(body),
        "modified": difference is not None,
        "status": "OutOfSync" if difference is not None else "Synced",
        "diff": difference.text if difference else "",
        "health": shapes.health_of(node) if node else {"status": "Missing"},
        "requiresPruning": body is None,
        "inCluster": node is not None and node.state != ObjectState.WANTED,
    }


def live(asked: Arguments, row: ApplicationRow) -> Response:
    """One live object as JSON text, secrets masked."""
    key = Key(asked["group"] or "", asked["kind"] or "", asked["namespace"] or "", asked["resourceName"] or "")
    if not key.kind or not key.name or key.id.count("/") != 3:
        wrong("kind and resourceName: name the object, with group and namespace where it has them")
    found = inspect.live_object(here(), row.name, key)
    if found is None:
        refuse(404, f"{key}: is not in the cluster", Code.NOT_FOUND)
    return jsonify(manifest=_text(found))


def diff(asked: Arguments, row: ApplicationRow) -> Response:
    """Every object that is not as Git says: masked text, and the fields that differ."""
    found = inspect.diff(here(), row.name, _revision(asked, row))
    return jsonify(items=[difference(each) for each in found], different=bool(found))


def difference(found: ObjectDiff) -> dict[str, Any]:
    """One difference."""
    return {
        **shapes.ref(found.key),
        "state": found.state,
        "reason": found.reason,
        "diff": found.text,
        "fields": [dict(each) for each in found.fields],
    }


def plan(asked: Arguments, row: ApplicationRow) -> Response:
    """What a sync would do now, wave by wave. Nothing is written."""
    found = inspect.plan(here(), row.name, _revision(asked, row), asked["prune"])
    return jsonify({**found.view, "empty": found.empty, "revisions": list(found.revisions)})


_APPLICATION = "/api/v1/applications/{name}"
_GET = Need("applications", "get", Scope.APPLICATION)
_REVISION = Argument("revision", "Another revision than the one that the application follows.")
_OBJECT = (
    Argument("group", "Of the object's kind; empty for the core kinds."),
    Argument("kind", "Of the object."),
    Argument("version", "Accepted; the version in which Git names the object is used."),
    Argument("namespace", "Of the object; empty for cluster-scoped ones."),
)

ROUTES = (
    Route("GET", f"{_APPLICATION}/resource-tree", tree, "Managed objects", _GET, answer="ResourceTree"),
    Route(
        "GET",
        f"{_APPLICATION}/managed-resources",
        managed,
        "Managed objects as Git wants them, and what differs",
        _GET,
        (*_OBJECT, Argument("name", "Of the object."), LIMIT, CONTINUE),
        answer="ManagedResources",
    ),
    Route("GET", f"{_APPLICATION}/manifests", manifests, "What Git wants", _GET, (_REVISION,), answer="Manifests"),
    Route(
        "GET",
        f"{_APPLICATION}/resource",
        live,
        "One live object",
        _GET,
        (*_OBJECT, Argument("resourceName", "The object's name.")),
        answer="LiveResource",
    ),
    Route("GET", f"{_APPLICATION}/diff", diff, "What is not as Git says", _GET, (_REVISION,), answer="Diff"),
    Route(
        "GET",
        f"{_APPLICATION}/plan",
        plan,
        "What a sync would do",
        _GET,
        (_REVISION, Argument("prune", "Whether it would delete; if not given, as automation does.", "boolean")),
        answer="Plan",
    ),
)
