"""/healthz and /readyz: for load balancers and kubelets. They say nothing about anything but themselves."""

from importlib.resources import files

from flask import Blueprint, Response, jsonify
from sqlalchemy import text

from driftline.flow.edges import Edges
from driftline.model.errors import Permanent, Temporary


def health(edges: Edges) -> Blueprint:
    """The process answers; and, for readiness, the database does and has this version's tables."""
    blueprint = Blueprint("health", __name__)
    newest = newest_migration()

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @blueprint.get("/readyz")
    def readyz() -> Response:
        try:
            with edges.store.read() as db:
                current = db.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
        except Temporary:
            return _not_yet("the database does not answer")
        except Permanent:
            current = None
        if current != newest:
            return _not_yet("the database is not migrated to this version; run driftline migrate")
        return jsonify(status="ok")

    return blueprint


def newest_migration() -> str:
    """The revision that this version's tables have, by the files' names: Alembic would cost each web process 15 MB."""
    names = [each.name for each in files("driftline.adapters.store.migrations.versions").iterdir()]
    return max(name.partition("_")[0] for name in names if name[:1].isdigit())


def _not_yet(why: str) -> Response:
    response = jsonify(status="not ready", message=why)
    response.status_code = 503
    return response
