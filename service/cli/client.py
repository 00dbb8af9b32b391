"""Talk to the server's REST API. Imports httpx when the first request is made."""

from collections.abc import Callable, Iterator, Mapping
from functools import update_wrapper
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from service.cli import config
from service.cli.failing import Problem

if TYPE_CHECKING:
    import httpx


UNKNOWN = "no session information"
"""The server's words for a request without a valid token."""


class Refused(Problem):
    """The server said no. `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """One server. Raises Refused for what it refuses, Problem if it cannot be reached."""

    def __init__(self, target: config.Target) -> None:
        self.target = target
        self._http: httpx.Client | None = None

    def get(self, path: str, **query: Any) -> Any:
        """GET; query parameters that are None, empty or False are left out."""
        return self.call("GET", path, query=query)

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        return self.call("POST", path, {} if body is None else body, query)

    def put(self, path: str, body: Any, **query: Any) -> Any:
        return self.call("PUT", path, body, query)

    def delete(self, path: str, **query: Any) -> Any:
        return self.call("DELETE", path, query=query)

    def pages(self, path: str, **query: Any) -> Iterator[Any]:
        """The items of a list, page after page."""
        more = ""
        while True:
            page = self.get(path, **{**query, "continue": more})
            yield from page["items"]
            more = (page.get("metadata") or {}).get("continue", "")
            if not more:
                return

    def call(self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> Any:
        """One request; the JSON of its answer."""
        import httpx

        headers = {"Authorization": f"Bearer {self.target.token}"} if self.target.token else {}
        asked = {name: _text(value) for name, value in (query or {}).items() if value not in (None, "", (), [])}
        local = self.target.server.startswith(("http://127.", "http://localhost", "http://[::1]"))
        if self._http is None:
            # Through proxies of the environment only to other machines.
            self._http = httpx.Client(verify=not self.target.insecure, timeout=60, trust_env=not local)
        try:
            answer = self._http.request(method, self.target.server + path, json=body, params=asked, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            start = "if it should run on this machine, start it with driftline up; " if local else ""
            raise Problem(
                f"server {self.target.server}: cannot be reached ({error}); {start}name another with --server"
            ) from None
        return _read(answer, self.target)


def _text(value: Any) -> Any:
    return {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value


def _read(answer: "httpx.Response", target: config.Target) -> Any:
    try:
        found = answer.json() if answer.content else {}
    except ValueError:
        found = {}
    if answer.is_success:
        return found
    text = found.get("message") if isinstance(found, dict) else ""
    if answer.status_code == 401 and text in ("", UNKNOWN):
        what = "the token is not valid any more" if target.token else "not logged in"
        raise Refused(f"server {target.server}: {what}; run driftline login, or give --auth-token", 401)
    raise Refused(text or f"server {target.server}: answered {answer.status_code}", answer.status_code)


def application(name: str, rest: str = "") -> str:
    """The path of an application; Argo CD's `namespace/name` is accepted."""
    return f"/api/v1/applications/{quote(name.rpartition('/')[2], safe='')}{rest}"


def escaped(text: str) -> str:
    """For URLs inside of paths."""
    return quote(text, safe="")


def talks(view: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name the server, and a Client as its first argument."""

    @click.option("--server", help="URL of the server.")
    @click.option("--auth-token", help="An API token.")
    @click.option("--insecure", is_flag=True, help="Accept any certificate of the server.")
    @click.option("--plaintext", is_flag=True, help="Speak http to a server that is named without a scheme.")
    @click.option("--grpc-web", is_flag=True, hidden=True, help="Accepted for scripts written for argocd.")
    @click.pass_context
    def wrapped(ctx: click.Context, /, grpc_web: bool, **given: Any) -> Any:
        return view(Client(config.target(merged(ctx, given))), **given)

    return update_wrapper(wrapped, view)


def merged(ctx: click.Context, given: dict[str, Any]) -> dict[str, Any]:
    """Take the server's options out of a command's; those before the command count where it has none itself."""
    outer = ctx.find_root().obj or {}
    names = ("server", "auth_token", "insecure", "plaintext")
    return {name: given.pop(name, None) or outer.get(name) for name in names}
