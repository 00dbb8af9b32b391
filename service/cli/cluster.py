"""Clusters that applications deploy to."""

from collections.abc import Callable
from typing import Any

import click

from service.cli import show
from service.cli.client import Client, escaped, talks


@click.group()
def cluster() -> None:
    """Clusters that applications deploy to."""


@cluster.command()
@click.argument("context", required=False)
@click.option("--kubeconfig", default="", help="The file; else KUBECONFIG, else ~/.kube/config.")
@click.option("--name", default="", help="The cluster's name here; the context's if not given.")
@click.option("--upsert", is_flag=True, help="Change how it is reached if it is registered already.")
@click.option("-y", "--yes", is_flag=True, hidden=True)
@talks
def add(client: Client, context: str | None, kubeconfig: str, name: str, upsert: bool, yes: bool) -> None:
    """Register the cluster of CONTEXT (the current one if not given), with the credentials of that context."""
    from service.cli.kubeconfigs import single

    found = single(kubeconfig, context or "")
    body = {"name": name or found.context, "server": found.server, "kubeconfig": found.text}
    saved = client.post("/api/v1/clusters", body, upsert=upsert)
    click.echo(f"cluster '{saved['name']}' added: {saved['server']}, Kubernetes {saved['serverVersion']}")


@cluster.command("list")
@show.output()
@talks
def list_(client: Client, form: str) -> None:
    """List clusters."""
    columns: list[tuple[str, Callable[[Any], Any]]] = [
        ("NAME", lambda each: each["name"]),
        ("SERVER", lambda each: each["server"]),
        ("VERSION", lambda each: each["serverVersion"]),
        ("STATUS", lambda each: each["connectionState"]["status"]),
        ("MESSAGE", lambda each: each["connectionState"]["message"]),
    ]
    show.listing(list(client.pages("/api/v1/clusters")), form, columns)


@cluster.command()
@click.argument("name")
@show.output("json", "yaml")
@talks
def get(client: Client, name: str, form: str) -> None:
    """Show one cluster, by name or URL."""
    show.document(client.get(f"/api/v1/clusters/{escaped(name)}"), form)


@cluster.command()
@click.argument("names", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, hidden=True)
@talks
def rm(client: Client, names: tuple[str, ...], yes: bool) -> None:
    """Forget clusters that no application deploys to."""
    for name in names:
        client.delete(f"/api/v1/clusters/{escaped(name)}")
        click.echo(f"cluster '{name}' removed")
