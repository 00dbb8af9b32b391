"""What every answer carries and what every link must be: response headers, redirect targets, URLs of strangers."""

import re
from urllib.parse import unquote, urlsplit

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

MAX_BODY = 10 * 1024 * 1024
"""Largest request body outside webhooks, bytes. Nothing else limits urlencoded forms."""

_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0\\\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]")
"""What browsers strip from or rewrite in URLs, so that a check and a click could see different ones."""


def secure(app: Flask) -> None:
    """Limit request bodies, and give every answer its security headers."""
    if app.config["MAX_CONTENT_LENGTH"] is None:
        app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["MAX_FORM_PARTS"] = 100
    app.after_request(_headers)


def _headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers[name] = value
    # A badge for other sites sets its own; everything else is for our pages.
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    if not is_static(request.endpoint):
        # What one person saw must not come out of a cache for another.
        response.headers["Cache-Control"] = "no-store"
        response.vary.add("Cookie")
    return response


def is_static(endpoint: str | None) -> bool:
    """Whether an endpoint serves files that are the same for everybody."""
    return endpoint is not None and endpoint.rpartition(".")[2] == "static"


def safe_url(text: object) -> str | None:
    """`text` if a person may click it: an absolute http or https URL with a host and no user part; else None.

    The one check for links out of annotations, declarations and repositories. Templates still escape the result.
    """
    if not isinstance(text, str) or len(text) > 2048 or _UNSAFE.search(text):
        return None
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return None
    # `http:/evil` and `http:evil` have a host for browsers and none for parsers, or the other way round.
    return text if re.match(r"https?://[^/?#]", text, re.IGNORECASE) else None


def safe_link(text: object) -> tuple[str, str] | None:
    """Label and URL of Argo CD's `label | url` link annotations; a bare URL is its own label. None if not safe."""
    if not isinstance(text, str):
        return None
    label, bar, url = text.rpartition("|")
    found = safe_url(url.strip(" "))
    return (label.strip() if bar and label.strip() else found, found) if found else None


def local_target(app: Flask, text: object, default: str = "/") -> str:
    """Where to go after signing in: `text` if it is the path (and query) of one of our pages, else `default`."""
    if not isinstance(text, str) or len(text) > 2048 or _UNSAFE.search(text):
        return default
    path, mark, query = text.partition("?")
    plain = unquote(path)
    if not path.startswith("/") or plain.startswith("//") or "\\" in plain or "#" in text or _UNSAFE.search(plain):
        return default
    try:
        app.url_map.bind("localhost").match(plain, method="GET")
    except (HTTPException, RequestRedirect):
        return default
    return path + mark + query
