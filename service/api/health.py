"""/healthz and /readyz: for load balancers and kubelets. They say nothing about anything but themselves."""

from flask import Blueprint, Response, jsonify

from driftline.adapters.store import migrating
from driftline.flow.edges import Edges
from driftline.model.errors import Failure


def health(edges: Edges) -> Blueprint:
    """The process answers; and, for readiness, the database does and has this version's tables."""
    blueprint = Blueprint("health", __name__)
    heads: list[str] = []

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @blueprint.get("/readyz")
    def readyz() -> Response:
        try:
            if not heads:
                heads.extend(migrating.heads())
            current = migrating.current(edges.store)
        except Failure:
            return _not_yet("the database does not answer")
        if current not in heads:
            return _not_yet("the database is not migrated; run driftline migrate")
        return jsonify(status="ok")

    return blueprint


def _not_yet(why: str) -> Response:
    response = jsonify(status="not ready", message=why)
    response.status_code = 503
    return response
