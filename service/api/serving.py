"""Mount a table of routes: check permission and arguments as each row says, and turn failures into answers."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, Response, current_app, jsonify
from werkzeug.exceptions import HTTPException, InternalServerError

from driftline.adapters.store import applications
from driftline.adapters.store.applications import ApplicationRow
from driftline.flow.edges import Edges
from driftline.flow.operate import RUNNING
from driftline.model.errors import Permanent, Temporary
from service.answers import Code, error, refuse
from service.api.asking import arguments
from service.api.routes import Route, Scope
from service.auth.guard import allowed, authorise, denied, guard

INTERNAL = 13
"""gRPC's code for our own faults."""

_PARAMETER = re.compile(r"\{(\w+)\}")


def here() -> Edges:
    """The outside of this process."""
    found: Edges = current_app.extensions["driftline.edges"]
    return found


def mount(blueprint: Blueprint, table: Sequence[Route]) -> None:
    """Give the blueprint the routes of a table."""
    for route in table:
        # A repository's or cluster's URL is one parameter, slashes and all.
        rule = _PARAMETER.sub(r"<path:\1>" if route.path.endswith(("{url}", "{cluster}")) else r"<\1>", route.path)
        blueprint.add_url_rule(
            rule,
            f"{route.method} {route.path}".replace(".", "_"),
            _checked(route),
            methods=[route.method],
            merge_slashes=False,
            provide_automatic_options=False,
        )
    blueprint.register_error_handler(Permanent, _permanent)
    blueprint.register_error_handler(Temporary, _temporary)


def _checked(route: Route) -> Callable[..., Response]:
    def view(**path: Any) -> Response:
        need = route.need
        if need.scope is Scope.WHOLE:
            authorise(need.resource, need.action, "*")
        if need.scope is Scope.APPLICATION:
            path["row"] = application(path.pop("name"), need.action)
        return route.view(asked=arguments(route.asks), **path)

    return view


def application(name: str, action: str) -> ApplicationRow:
    """The application of this name, if the user may do this with it.

    One that does not exist and one that they may not see are told apart for those only who may see all of them.
    """
    with here().store.read() as db:
        row = applications.get(db, name) if "\x00" not in name else None
    if row is None:
        if sees_all("applications"):
            refuse(404, f"Application {name[:100]}: does not exist", Code.NOT_FOUND)
        denied()
    authorise("applications", action, f"{row.project}/{row.name}")
    return row


def sees_all(resource: str) -> bool:
    """Whether the user may see everything of a kind, so that 'does not exist' tells them nothing they may not know."""
    denies = any(not rule.allow for rule in guard().policy().rules)
    # Only a rule for any project and any name covers a star in both places.
    return not denies and allowed(resource, "get", "*/*" if resource == "applications" else "*")


def fresh(name: str) -> ApplicationRow:
    """The application as it is after a change."""
    with here().store.read() as db:
        row = applications.get(db, name)
    if row is None:
        refuse(404, f"Application {name}: does not exist", Code.NOT_FOUND)
    return row


def _permanent(failure: Permanent) -> Response:
    """A person has to change something: the request, or what it is about."""
    busy = RUNNING in failure.message
    return error(400, failure.message, Code.FAILED_PRECONDITION if busy else Code.INVALID_ARGUMENT)


def _temporary(failure: Temporary) -> Response:
    wait = max(1, math.ceil(failure.delay.total_seconds()))
    return error(503, failure.message, Code.UNAVAILABLE, {"Retry-After": str(wait)})


def failed(problem: Exception) -> Response:
    """Any other exception: reported and logged, told to nobody."""
    if isinstance(problem, HTTPException) and not isinstance(problem, InternalServerError):
        if problem.response is not None or (problem.code or 500) < 400:
            return problem.get_response()  # type: ignore[return-value]
        status = problem.code or 500
        code = Code.NOT_FOUND if status == 404 else Code.INVALID_ARGUMENT
        return error(status, problem.description or problem.name, code)
    edges = here()
    edges.report(problem)
    edges.log.error("request failed", exc_info=problem)
    text = "internal error; it was logged"
    response = jsonify(error=text, code=INTERNAL, message=text)
    response.status_code = 500
    return response
