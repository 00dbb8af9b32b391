"""All routes of the API in one table, and the blueprint made from it."""

from flask import Blueprint, Response, jsonify

from service.api import applications, clusters, inspection, openapi, operations, people, record, repositories
from service.api.routes import Arguments, Need, Route, Scope
from service.api.serving import mount
from service.api.version import VERSION


def version(asked: Arguments) -> Response:
    """Which version this is, with the field that Argo CD's clients look at."""
    return jsonify(Version=VERSION, version=VERSION, product="driftline")


def document(asked: Arguments) -> Response:
    """This API as an OpenAPI 3 document."""
    return jsonify(openapi.document(ROUTES))


_ANYBODY = Need("", "", Scope.SIGNED_IN)

ROUTES: tuple[Route, ...] = (
    *applications.ROUTES,
    *operations.ROUTES,
    *inspection.ROUTES,
    *repositories.ROUTES,
    *clusters.ROUTES,
    *record.ROUTES,
    *people.ROUTES,
    Route("GET", "/api/version", version, "The version of the server", _ANYBODY, answer="Object"),
    Route("GET", "/api/v1/openapi.json", document, "This document", _ANYBODY, answer="Object"),
)


def blueprint() -> Blueprint:
    """The API. The application that mounts it has `driftline.edges` among its extensions."""
    made = Blueprint("api", __name__)
    mount(made, ROUTES)
    return made
