"""What drifted, what failed, whether alerts arrive, which versions run."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import click

from service.cli import show
from service.cli.client import Client, talks
from service.cli.failing import Problem


@click.group()
def drift() -> None:
    """What in clusters is not as Git says, and was not."""


@drift.command("list")
@click.option("--app", default="", help="Only of this application.")
@click.option("--open/--all", "only_open", default=True, help="Only what drifts now, or what drifted before, too.")
@click.option("--limit", default=200, show_default=True, help="How many at most.")
@show.output("table", "wide", "json", "yaml")
@talks
def list_(client: Client, app: str, only_open: bool, limit: int, form: str) -> None:
    """List drifted fields: where, since when, by whom, and both values."""
    if limit < 1:
        raise Problem("--limit: want a number above 0")
    pages = client.pages("/api/v1/drift", app=app, open=only_open or None, limit=min(limit, 500))
    found = list(islice(pages, limit))
    columns: list[tuple[str, Callable[[Any], Any]]] = [
        ("APPLICATION", lambda each: each["application"]),
        ("OBJECT", lambda each: "/".join(each[part] for part in ("group", "kind", "namespace", "name") if each[part])),
        ("FIELD", lambda each: each["path"] or f"({each['change']})"),
        ("GIT", lambda each: each["desired"][:40]),
        ("LIVE", lambda each: each["live"][:40]),
        ("BY", lambda each: each["manager"]),
        ("FOUND", lambda each: each["foundAt"]),
    ]
    if form == "wide" or not only_open:
        columns += [("ENDED", lambda each: each["endedAt"]), ("HOW", lambda each: each["endReason"])]
    show.listing(found, form, columns)


@click.group()
def alerts() -> None:
    """Alerts."""


@alerts.command()
@click.argument("recipient")
@talks
def test(client: Client, recipient: str) -> None:
    """Send a test message to RECIPIENT: slack:#deploys, email:ops@example.com, webhook:https://..."""
    click.echo(client.post("/api/v1/alerts/test", {"recipient": recipient})["message"])


@alerts.command()
@show.output("table", "json", "yaml")
@talks
def dead(client: Client, form: str) -> None:
    """List messages that no channel took."""
    columns: list[tuple[str, Callable[[Any], Any]]] = [
        ("ID", lambda each: each["id"]),
        ("CHANNEL", lambda each: each["channel"]),
        ("ATTEMPTS", lambda each: each["attempts"]),
        ("CREATED", lambda each: each["createdAt"]),
        ("ERROR", lambda each: each["error"]),
    ]
    show.listing(client.get("/api/v1/messages/dead")["items"], form, columns)


@click.group()
def jobs() -> None:
    """Work that failed until its attempts were used up."""


@jobs.command("list")
@show.output("table", "json", "yaml")
@talks
def list_jobs(client: Client, form: str) -> None:
    """List quarantined jobs."""
    columns: list[tuple[str, Callable[[Any], Any]]] = [
        ("ID", lambda each: each["id"]),
        ("KIND", lambda each: each["kind"]),
        ("SUBJECT", lambda each: each["subject"]),
        ("ATTEMPTS", lambda each: each["attempts"]),
        ("UPDATED", lambda each: each["updatedAt"]),
        ("ERROR", lambda each: each["error"]),
    ]
    show.listing(client.get("/api/v1/jobs/quarantined")["items"], form, columns)


@jobs.command()
@click.argument("number", type=int)
@talks
def retry(client: Client, number: int) -> None:
    """Do what a quarantined job was to do, after all."""
    found = client.post(f"/api/v1/jobs/{number}/retry")
    click.echo(f"job {found['id']} does it again")


@click.command()
@click.option("--client", "only_client", is_flag=True, help="Only the version of this command line.")
@talks
def version(client: Client, only_client: bool) -> None:
    """The versions of this command line and of the server."""
    from importlib.metadata import version as installed

    click.echo(f"driftline: {installed('driftline')}")
    if not only_client:
        click.echo(f"server: {client.get('/api/version')['Version']}")
