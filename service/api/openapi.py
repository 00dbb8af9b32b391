"""The OpenAPI 3 document of the API, made from the table of routes. Pure."""

import re
from collections.abc import Iterable
from typing import Any

from service.api.routes import Argument, Need, Route, Scope
from service.api.schemas import SCHEMAS, ref
from service.api.version import VERSION

PROBLEMS = {
    "400": "The request or what it is about has to be changed",
    "401": "No valid token or session",
    "403": "Not permitted, or not there",
    "404": "Not there",
    "415": "The body is not application/json",
    "503": "Not now; try again after Retry-After",
}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """One path item for each path."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.0.3",
        "info": {"title": "Driftline", "version": VERSION, "description": "GitOps for Kubernetes: the REST API."},
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}],
    }


def _operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}").strip("_"),
        "summary": route.summary,
        "parameters": [*_in_path(route.path), *(_in_query(each) for each in route.asks)],
        "responses": {
            "200": {"description": "Done", "content": _json(ref(route.answer))},
            **{code: {"description": text, "content": _json(ref("Error"))} for code, text in PROBLEMS.items()},
        },
    }
    if route.need.resource:
        found["description"] = _permission(route.need)
    if route.body:
        found["requestBody"] = {"required": True, "content": _json(ref(route.body))}
    return found


def _permission(need: Need) -> str:
    of = {
        Scope.APPLICATION: "on the application `project/name`",
        Scope.WHOLE: "on `*`",
        Scope.LISTED: "on each item shown",
        Scope.NAMED: "on what is named",
    }[need.scope]
    return f"Needs the permission `{need.resource}, {need.action}` {of}."


def _in_path(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", path)
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in names
    ]


def _in_query(each: Argument) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": each.kind}
    if each.choices:
        schema["enum"] = list(each.choices)
    if each.many:
        schema = {"type": "array", "items": schema}
    return {"name": each.name, "in": "query", "description": each.text, "schema": schema}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
