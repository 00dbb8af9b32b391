"""Answers that every API route gives in the same way: errors in Argo CD's shape, and JSON read from requests."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NoReturn

from flask import Response, jsonify, request
from werkzeug.exceptions import HTTPException

from service import strict_json
from service.strict_json import Malformed


class Code(IntEnum):
    """gRPC's codes, which clients written for Argo CD look at."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    FAILED_PRECONDITION = 9
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


def error(status: int, text: str, code: Code, headers: Mapping[str, str] | None = None) -> Response:
    """An error answer: `{error, code, message}`."""
    response = jsonify(error=text, code=int(code), message=text)
    response.status_code = status
    response.headers.update(headers or {})
    return response


def refuse(status: int, text: str, code: Code, headers: Mapping[str, str] | None = None) -> NoReturn:
    """Stop the view and answer with an error."""
    raise _Refused(response=error(status, text, code, headers))


def json_body() -> dict[str, Any]:
    """The request's JSON object. Answers 415 for another content type (so no form of another site gets here), 400."""
    if request.mimetype != "application/json":
        refuse(415, "the content type must be application/json", Code.INVALID_ARGUMENT)
    try:
        return strict_json.parse(request.get_data(cache=False))
    except Malformed as problem:
        refuse(400, str(problem), Code.INVALID_ARGUMENT)


class _Refused(HTTPException):
    """An answer given from inside a view."""
