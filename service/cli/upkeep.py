"""Look after an installation: migrations, a check of every outside part, settings, keys. Works without the server."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from service.cli import running, show
from service.cli.failing import Problem

if TYPE_CHECKING:
    from driftline.adapters.store.engine import Store
    from driftline.flow.edges import Edges


@contextmanager
def direct() -> Iterator["Edges"]:
    """The database and all else of this machine's installation, without the server."""
    import logging

    from driftline.flow.assemble import close_edges, edges_of_this_process

    edges = edges_of_this_process("cli")
    logging.getLogger().setLevel(logging.WARNING)
    try:
        yield edges
    finally:
        close_edges()


@contextmanager
def stored() -> Iterator["Store"]:
    """Only the database: everything else takes seconds to load."""
    from driftline.adapters.settings import read_settings
    from driftline.adapters.store.engine import Store

    store = Store(read_settings().database)
    try:
        yield store
    finally:
        store.dispose()


@click.command()
@click.option("--to", default="head", show_default=True, help="A revision; `base` removes every table.")
def migrate(to: str) -> None:
    """Bring the database to this version. The first time, make the account `admin` and say its password."""
    with direct() as edges:
        prepare(edges, to)


def prepare(edges: "Edges", to: str = "head") -> None:
    """Migrate; then what every installation needs: an administrator, and the cluster that we run in."""
    from driftline.adapters.store import migrating
    from driftline.flow.registry import ensure_local_cluster
    from service.auth.sessions import first_admin
    from service.auth.storage import StoredAccounts

    migrating.migrate(edges.store, to)
    click.echo(f"{edges.store.where}: migration {migrating.current(edges.store) or 'none'}")
    if to != "head":
        return
    password = first_admin(StoredAccounts(edges.store))
    if password:
        click.echo(f"account admin: its password is {password} (shown only now; driftline account password admin)")
    found = ensure_local_cluster(edges)
    if found:
        click.echo(found)


@click.command()
@click.option("--alive", metavar="PROCESS", help="Only whether this process does its work: web, worker, beat, watch.")
@show.output("table", "json", "yaml")
def doctor(alive: str | None, form: str) -> None:
    """Check every outside part and say what to do about what does not work."""
    from driftline.flow import checks
    from driftline.model.errors import Failure

    try:
        with direct() as edges:
            found = [checks.alive(edges, alive)] if alive else list(checks.checks(edges))
    except Failure as failure:
        raise Problem(
            f"{failure.message}; if another installation is meant, set its DRIFTLINE_DATA_DIR or DRIFTLINE_DATABASE_URL"
        ) from None
    if form == "table":
        for check in found:
            word, colour = (
                ("FAIL", "red") if not check.ok else ("note", "yellow") if check.advice else ("ok  ", "green")
            )
            click.echo(f"{click.style(word, fg=colour)} {check.name}: {check.detail}")
            if check.advice:
                click.echo(f"     {check.advice}")
    else:
        show.document([{**vars(check)} for check in found], form)
    if not all(check.ok for check in found):
        raise click.exceptions.Exit(1)


@click.command()
@show.output("table", "json", "yaml")
@click.argument("name", required=False)
def settings(name: str | None, form: str) -> None:
    """Every setting: its variable, its value here, its meaning. Secrets are not shown."""
    from driftline.adapters.settings import documented, is_secret, read_settings

    found = read_settings()
    items: list[dict[str, Any]] = []
    for each in documented():
        value = getattr(found, each.field)
        text = f"{value.total_seconds():g}" if hasattr(value, "total_seconds") else str(value)
        hidden = ("(set)" if value else "") if is_secret(each.field) else text
        items.append({"name": each.variable, "value": hidden, "default": each.default, "text": each.text})
    if name:
        wanted = name.upper()
        items = [item for item in items if wanted in item["name"]]
        if not items:
            raise Problem(f"setting {name}: there is none; driftline settings lists all")
    if form != "table":
        show.document(items, form)
        return
    for item in items:
        changed = item["value"] != item["default"]
        click.secho(f"{item['name']}={item['value']}", bold=changed, fg="green" if changed else None)
        click.echo(click.wrap_text(item["text"], 100, "    ", "    "))


@click.group()
def keys() -> None:
    """The keys that seal credentials, renders and plans in the database."""


@keys.command()
def generate() -> None:
    """Print a new key, for DRIFTLINE_DATA_KEYS."""
    from driftline.adapters.sealing import generate_key

    click.echo(generate_key())


@keys.command()
def rotate() -> None:
    """Seal everything with the newest key.

    Keys that are kept in the data directory: a new one is made first, and `driftline up` must not run meanwhile.
    DRIFTLINE_DATA_KEYS: put a new key in front and restart every process, then run this; then the old keys can go.
    """
    from driftline.adapters.sealing import Sealer, generate_key, parse_keys
    from driftline.adapters.settings import read_settings
    from driftline.adapters.store.rotation import rotate_all

    found = read_settings()
    if not found.data_keys:
        if running.pid(found.data_dir):
            raise Problem(f"{found.data_dir}: its processes could not read what a new key seals; driftline down first")
        fresh = f"{generate_key()},{found.sealing_keys}"
        parse_keys(fresh)
        _replace_keys(found.data_dir / "data_keys", fresh)
    with stored() as store:
        number = rotate_all(store, Sealer(parse_keys(found.sealing_keys)))
    click.echo(f"{number} values sealed with the newest key")


def _replace_keys(path: Any, text: str) -> None:
    """Exchange the file of keys in one step: no moment in which it is incomplete."""
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def interactive() -> bool:
    """Whether a person is there to answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()
