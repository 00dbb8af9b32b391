"""Tell a click on our own pages from a request that another site made a browser send. Called by service.auth.guard.

Only requests that change something and prove who asks by a cookie are in question: browsers add cookies by themselves,
nothing else.
"""

import hashlib
import hmac
from urllib.parse import urlsplit

from flask import Request

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEADER, FIELD = "X-CSRF-Token", "csrf_token"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def token_for(session: str) -> str:
    """The CSRF token of a session: pages of ours know it, other sites cannot."""
    return hmac.new(session.encode(), b"csrf", hashlib.sha256).hexdigest()


def is_forged(request: Request, session: str, own_origins: frozenset[str]) -> bool:
    """Whether a changing request that came with a session cookie may be another site's doing.

    It has to come from one of our origins as far as the browser says, and either carry the session's token (header or
    form field) or be JSON, which other sites can send only after asking us by CORS, and we always say no.
    """
    if from_elsewhere(request, own_origins):
        return True
    if request.mimetype == JSON:
        return False
    given = request.headers.get(HEADER, "")
    if not given and request.mimetype == FORM:
        given = request.form.get(FIELD, "")
    return not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token_for(session).encode())


def from_elsewhere(request: Request, own_origins: frozenset[str]) -> bool:
    """Whether the browser says that a page of another origin sent this. Clients that are no browsers say nothing."""
    origin = request.headers.get("Origin")
    if origin is not None:
        return origin.lower() not in own_origins | {origin_of(request.host_url)}
    return request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, as browsers write an origin."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
