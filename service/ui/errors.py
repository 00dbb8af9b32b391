"""What a reader sees when something fails: what it was about, what failed and what to do, in place of the page."""

import math
from typing import Any
from uuid import uuid4

from flask import Response, request
from werkzeug.exceptions import HTTPException

from driftline.model.errors import Permanent, Temporary
from service.answers import Code, error
from service.ui.page import here, page

TITLES = {
    400: "That request made no sense",
    403: "You may not do this",
    404: "Nothing here",
    405: "Not this way",
    413: "Too large",
}


def permanent(failure: Permanent) -> Response:
    """A person has to change something first."""
    return page("error.html", 409, title="This cannot be done", message=failure.message, again=False, mark="")


def temporary(failure: Temporary) -> Response:
    """It may work in a moment."""
    response = page("error.html", 503, title="Not right now", message=failure.message, again=True, mark="")
    response.headers["Retry-After"] = str(max(1, math.ceil(failure.delay.total_seconds())))
    return response


def refused(problem: HTTPException) -> Any:
    """What the web server or a view refused."""
    if problem.response is not None or problem.code is None:
        return problem.get_response()
    title = TITLES.get(problem.code, problem.name)
    message = problem.description or problem.name
    return page("error.html", problem.code, title=title, message=message, again=False, mark="")


def no_such_page(problem: HTTPException) -> Any:
    """An address that nobody serves: a page for people, an error in Argo CD's shape for machines."""
    machine = request.path.startswith(("/api/", "/hooks/")) or "text/html" not in request.headers.get("Accept", "")
    if machine:
        return error(404, problem.description or problem.name, Code.NOT_FOUND)
    return refused(problem)


def unexpected(problem: Exception) -> Response:
    """Our own fault: reported and logged under a mark that the reader can name, told to nobody."""
    mark = uuid4().hex[:12]
    edges = here()
    edges.report(problem)
    edges.log.error("page failed", exc_info=problem, path=request.path, mark=mark)
    message = "Driftline made a mistake while it made this page. It was logged and reported."
    return page("error.html", 500, title="Our fault", message=message, again=True, mark=mark)
