"""`app diff` and `app plan`: exit code 0 nothing to do, 1 error, 2 differences. From a checkout without server, too."""

import os
from typing import Any

import click

from service.cli import show
from service.cli.client import Client, application, talks
from service.cli.failing import Different, Problem

_local = click.option(
    "--local",
    metavar="PATH",
    type=click.Path(exists=True, file_okay=False),
    help="Compare with this checkout instead of Git. NAME may be an Application's YAML file: then no server is needed.",
)
_kubeconfig = click.option("--kubeconfig", default="", help="With --local: how to reach the cluster. Else KUBECONFIG.")
_context = click.option("--context", "context", default="", help="With --local: the kubeconfig's context.")


@click.command()
@click.argument("name")
@click.option("--revision", default="", help="Compare with this revision.")
@click.option("--hard-refresh", is_flag=True, help="Fetch and render again first.")
@click.option("--refresh", is_flag=True, help="Fetch again first.")
@click.option("--exit-code/--no-exit-code", default=True, help="Whether differences give the exit code 2.")
@click.option("--server-side-diff", is_flag=True, hidden=True)
@_local
@_kubeconfig
@_context
@show.output("table", "json", "yaml")
@talks
def diff(client: Client, name: str, **given: Any) -> None:
    """Show what in the cluster is not as Git says: live is `-`, Git is `+`."""
    if given["local"]:
        found = _locally(client, name, given)["differences"]
    else:
        if given["refresh"] or given["hard_refresh"]:
            client.get(application(name), refresh="hard" if given["hard_refresh"] else "normal")
        found = client.get(application(name, "/diff"), revision=given["revision"])["items"]
    if given["form"] in ("json", "yaml"):
        show.document(found, given["form"])
    else:
        for each in found:
            _difference(each)
    if found and given["exit_code"]:
        raise Different


def _difference(each: Any) -> None:
    parts = (each["group"], each["kind"], each["namespace"], each["name"])
    click.secho(f"===== {'/'.join(part for part in parts if part)} {each['state']} =====", bold=True)
    if each["reason"]:
        click.echo(each["reason"])
    for field in each["fields"]:
        by = f" by {field['manager']}" if field["manager"] else ""
        at = f" at {field['at']}" if field["at"] else ""
        click.echo(f"{field['path']}: {field['live']} instead of {field['desired']}{by}{at}")
    show.coloured_diff(each["diff"])


@click.command()
@click.argument("name")
@click.option("--revision", default="", help="Plan a sync to this revision.")
@click.option("--prune/--no-prune", default=None, help="Whether the sync would delete; else as automation does.")
@click.option("--exit-code/--no-exit-code", default=True, help="Whether something to do gives the exit code 2.")
@_local
@_kubeconfig
@_context
@show.output("table", "json", "yaml")
@talks
def plan(client: Client, name: str, **given: Any) -> None:
    """Show what a sync would do, wave by wave. Nothing is written."""
    if given["local"]:
        found = _locally(client, name, given)["plan"]
    else:
        found = client.get(application(name, "/plan"), revision=given["revision"], prune=given["prune"])
    if given["form"] in ("json", "yaml"):
        show.document(found, given["form"])
    else:
        click.echo(found["text"])
        for warning in found["warnings"]:
            click.echo(f"warning: {warning}", err=True)
    if not found["empty"] and given["exit_code"]:
        raise Different


def _locally(client: Client, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Compare a checkout with the cluster from here."""
    from pathlib import Path

    from driftline.adapters.settings import read_settings
    from driftline.flow.local import local_plan
    from service.api.inspection import difference

    document = _document(client, name)
    text = _kubeconfig_text(given)
    found = local_plan(document, Path(given["local"]), text, read_settings(), prune=given.get("prune"))
    return {
        "differences": [difference(each) for each in found.differences],
        "plan": {**found.view, "empty": found.empty},
    }


def _document(client: Client, name: str) -> dict[str, Any]:
    """The declaration: from a file of this name, else from the server."""
    if os.path.isfile(name):
        from service.cli.app_declare import read_applications

        found = read_applications(name)
        if len(found) != 1:
            raise Problem(f"{name}: holds {len(found)} Applications; want a file with one")
        return found[0]
    app = client.get(application(name))
    return {key: app[key] for key in ("apiVersion", "kind", "metadata", "spec")}


def _kubeconfig_text(given: dict[str, Any]) -> str:
    from service.cli.kubeconfigs import single

    return single(given["kubeconfig"], given["context"]).text
