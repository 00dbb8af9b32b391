"""Logins in the source URLs of an application: never shown, and not lost when what was shown is sent back."""

from collections.abc import Callable
from typing import Any

from driftline.desired.urls import login_of

_HIDDEN = "********"


def hidden(found: Any) -> Any:
    """The same JSON, with stars in place of the login of every `repoURL` in it."""
    return _changed(found, _starred)


def put_back(document: Any, before: Any) -> Any:
    """The same declaration, with the logins of the one before it wherever a URL comes with the stars that it had.

    A URL that comes without stars is taken as it is, so that a login can be taken out.
    """
    had: dict[str, str] = {}

    def noted(url: str) -> str:
        had.setdefault(_starred(url), url)
        return url

    _changed(before, noted)
    return _changed(document, lambda url: had.get(url, url))


def _starred(url: str) -> str:
    bare = login_of(url).url
    return url if bare == url else bare.replace("//", f"//{_HIDDEN}@", 1)


def _changed(found: Any, change: Callable[[str], str]) -> Any:
    if isinstance(found, dict):
        return {
            name: change(value) if name == "repoURL" and isinstance(value, str) else _changed(value, change)
            for name, value in found.items()
        }
    return [_changed(each, change) for each in found] if isinstance(found, list) else found
