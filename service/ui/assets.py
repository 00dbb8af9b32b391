"""Our own static files: served under names that change with their content, so that browsers may keep them for ever."""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from flask import Response, abort, url_for
from markupsafe import Markup

FOR_EVER = "public, max-age=31536000, immutable"
TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """One file. `tag` stands in its URL; `integrity` is what a browser checks it against."""

    name: str
    content: bytes
    tag: str
    integrity: str

    @property
    def media_type(self) -> str:
        return TYPES[self.name.rpartition(".")[2]]


@cache
def assets() -> dict[str, Asset]:
    """Every static file by name, read once per process."""
    folder = files("service.ui").joinpath("static")
    return {each.name: _asset(each.name, each.read_bytes()) for each in folder.iterdir() if each.is_file()}


def serve(tag: str, name: str) -> Response:
    """A static file under its present tag. An old tag is not found: its page would get the wrong content."""
    found = assets().get(name)
    if found is None or found.tag != tag:
        abort(404)
    response = Response(found.content, content_type=found.media_type)
    response.headers["Cache-Control"] = FOR_EVER
    response.set_etag(found.tag)
    return response


def url(name: str) -> str:
    """The URL of a static file as it is now."""
    return url_for("ui.static", tag=assets()[name].tag, name=name)


def stylesheet(name: str) -> Markup:
    """The tag that loads one of our stylesheets."""
    return Markup('<link rel="stylesheet" href="{}" integrity="{}">').format(url(name), assets()[name].integrity)


def script(name: str) -> Markup:
    """The tag that loads one of our scripts, after the page."""
    return Markup('<script src="{}" integrity="{}" defer></script>').format(url(name), assets()[name].integrity)


def _asset(name: str, content: bytes) -> Asset:
    digest = hashlib.sha384(content).digest()
    return Asset(name, content, digest.hex()[:16], f"sha384-{base64.b64encode(digest).decode()}")
