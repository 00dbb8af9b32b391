"""Sign in and out; accounts and API tokens.

`token` and `account` work on this machine's installation directly where no server is named and nobody is logged in: so
the first token can be made before the first process runs.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from service.cli import config, show
from service.cli.client import Client, Refused, merged
from service.cli.failing import Problem
from service.cli.upkeep import interactive, stored

if TYPE_CHECKING:
    from service.auth.sessions import Sessions


@click.command()
@click.argument("server", required=False)
@click.option("--username", help="The account; asked for if not given.")
@click.option("--password", help="Its password; asked for if not given. Better not on a command line.")
@click.option("--insecure", is_flag=True, help="Accept any certificate of the server.")
@click.option("--plaintext", is_flag=True, help="Speak http to a server that is named without a scheme.")
@click.option("--grpc-web", is_flag=True, hidden=True)
@click.pass_context
def login(ctx: click.Context, /, username: str | None, password: str | None, **given: Any) -> None:
    """Sign in to a server and remember the session for later commands."""
    given.pop("grpc_web")
    options = {**given, "server": given.get("server") or (ctx.find_root().obj or {}).get("server")}
    target = config.target({**options, "auth_token": "-"})
    username = username or _ask("Username")
    password = password or _ask("Password", hidden=True)
    client = Client(config.Target(target.server, "", target.insecure))
    try:
        token = client.post("/api/v1/session", {"username": username, "password": password})["token"]
    except Refused as refused:
        if refused.status != 401:
            raise
        raise Problem(
            f"server {target.server}: account {username}: {refused.message}; try again (after five failures an account "
            f"waits for five minutes), or set another password on the server's machine with "
            f"driftline account password {username}"
        ) from None
    config.remember(target.server, token, target.insecure)
    click.echo(f"'{username}' logged in to {target.server}")


def _ask(what: str, hidden: bool = False) -> str:
    if not interactive():
        raise Problem(f"{what.lower()}: give --{what.lower()}, there is no terminal to ask on")
    found: str = click.prompt(what, hide_input=hidden)
    return found


@click.command()
@click.argument("server", required=False)
@click.pass_context
def logout(ctx: click.Context, server: str | None) -> None:
    """End the session and forget it."""
    target = config.target({**(ctx.find_root().obj or {}), "server": server})
    if not target.token:
        raise Problem(f"server {target.server}: not logged in")
    try:
        Client(target).delete("/api/v1/session")
    finally:
        config.remember(target.server, "", target.insecure)
    click.echo(f"logged out of {target.server}")


class Here:
    """Accounts and tokens of this machine's installation, without its server."""

    def __init__(self, sessions: "Sessions") -> None:
        self._sessions = sessions

    def tokens(self, account: str) -> Any:
        found = self._sessions.find(account)
        if found is None:
            raise Problem(f"account {account}: does not exist")
        return [
            {
                "id": each.id,
                "kind": str(each.kind),
                "note": each.note,
                "expiresAt": each.expires_at.isoformat() if each.expires_at else None,
            }
            for each in self._sessions.accounts.credentials(found)
        ]

    def create_token(self, account: str, seconds: int, note: str) -> str:
        lifetime = timedelta(seconds=seconds) if seconds else None
        return self._sessions.create_token(account, lifetime, note)[1]

    def revoke(self, account: str, number: str) -> None:
        if number not in {each["id"] for each in self.tokens(account)}:
            raise Problem(f"token {number}: account {account} has no such token")
        self._sessions.accounts.revoke(number)

    def create_account(self, name: str, roles: tuple[str, ...], password: str) -> None:
        self._sessions.create_account(name, roles, password)

    def set_password(self, name: str, current: str, password: str) -> None:
        self._sessions.set_password(name, password)


class There:
    """The same, over the API of a server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def tokens(self, account: str) -> Any:
        return self._client.get(_tokens(account))["items"]

    def create_token(self, account: str, seconds: int, note: str) -> str:
        found: str = self._client.post(_tokens(account), {"id": note, "expiresIn": seconds})["token"]
        return found

    def revoke(self, account: str, number: str) -> None:
        self._client.delete(f"{_tokens(account)}/{quote(number, safe='')}")

    def create_account(self, name: str, roles: tuple[str, ...], password: str) -> None:
        self._client.post("/api/v1/account", {"name": name, "roles": list(roles), "password": password})

    def set_password(self, name: str, current: str, password: str) -> None:
        body = {"name": name, "currentPassword": current, "newPassword": password}
        self._client.put("/api/v1/account/password", body)


def _tokens(account: str) -> str:
    return f"/api/v1/account/{quote(account, safe='')}/token"


Accounts = Here | There


def with_accounts(view: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the accounts of the server that is meant, or of this machine (`--core`, as Argo CD names it)."""
    from functools import update_wrapper

    @click.option("--server", help="URL of the server.")
    @click.option("--auth-token", help="An API token.")
    @click.option("--insecure", is_flag=True, help="Accept any certificate of the server.")
    @click.option("--plaintext", is_flag=True, help="Speak http to a server that is named without a scheme.")
    @click.option("--core", is_flag=True, help="Work on this machine's installation, without its server.")
    @click.pass_context
    def wrapped(ctx: click.Context, /, core: bool, **given: Any) -> Any:
        target = config.target(merged(ctx, given))
        if not core and (target.named or target.token):
            return view(There(Client(target)), **given)
        from service.auth.sessions import Sessions
        from service.auth.storage import StoredAccounts

        with stored() as store:
            return view(Here(Sessions(StoredAccounts(store))), **given)

    return update_wrapper(wrapped, view)


@click.group()
def token() -> None:
    """API tokens, for scripts and machines."""


@token.command()
@click.argument("account", default="admin")
@click.option("--note", "--id", default="", help="What it is for.")
@click.option("--expires-in", default="0", help="How long it is valid: 90m, 12h, 30d; 0 is until it is revoked.")
@with_accounts
def create(accounts: Accounts, account: str, note: str, expires_in: str) -> None:
    """Make a token for ACCOUNT and print it: it is shown only now."""
    click.echo(accounts.create_token(account, seconds_in(expires_in), note))


@token.command("list")
@click.argument("account", default="admin")
@show.output("table", "json", "yaml", "name")
@with_accounts
def list_tokens(accounts: Accounts, account: str, form: str) -> None:
    """The valid tokens and sessions of ACCOUNT."""
    columns = [
        (title, _field(name))
        for title, name in (("ID", "id"), ("KIND", "kind"), ("NOTE", "note"), ("EXPIRES", "expiresAt"))
    ]
    show.listing(accounts.tokens(account), form, columns, "id")


@token.command()
@click.argument("token_id")
@click.option("--account", default="admin", show_default=True, help="Whose token it is.")
@with_accounts
def revoke(accounts: Accounts, token_id: str, account: str) -> None:
    """Make a token invalid, by its id."""
    accounts.revoke(account, token_id)
    click.echo(f"token {token_id} revoked")


@click.group()
def account() -> None:
    """People and machines that may sign in."""


@account.command("create")
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="role:admin or role:readonly; may be given again.")
@click.option("--password", help="Asked for if not given.")
@with_accounts
def create_account(accounts: Accounts, name: str, roles: tuple[str, ...], password: str | None) -> None:
    """Make an account."""
    accounts.create_account(name, roles, password or _new_password())
    click.echo(f"account {name} created")


@account.command("password")
@click.argument("name", default="admin")
@click.option("--current-password", help="Your own; asked for if not given. Not needed with --core.")
@click.option("--new-password", help="Asked for if not given.")
@with_accounts
def password(accounts: Accounts, name: str, current_password: str | None, new_password: str | None) -> None:
    """Give an account another password. Its sessions and tokens end."""
    current = "" if isinstance(accounts, Here) else current_password or _ask("Current-password", hidden=True)
    accounts.set_password(name, current, new_password or _new_password())
    click.echo(f"account {name}: its password is changed")


def _new_password() -> str:
    if not interactive():
        raise Problem("password: give it as an option, there is no terminal to ask on")
    found: str = click.prompt("New password", hide_input=True, confirmation_prompt=True)
    return found


def _field(name: str) -> Callable[[Any], Any]:
    return lambda item: item[name]


def seconds_in(text: str) -> int:
    """A duration such as `90s`, `12h`, `30d` or plain seconds. Raises Problem."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1)
    if not number.isascii() or not number.isdecimal():
        raise Problem(f"duration {text!r}: want a number and s, m, h or d, as 12h")
    return int(number) * unit
