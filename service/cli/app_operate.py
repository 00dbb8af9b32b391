"""Hold, release, allow and stop what automation does with an application."""

import click

from service.cli.client import Client, application, talks
from service.cli.failing import Problem
from service.cli.people import seconds_in


@click.command("terminate-op")
@click.argument("name")
@talks
def terminate_op(client: Client, name: str) -> None:
    """Stop the running operation before its next write."""
    client.delete(application(name, "/operation"))
    click.echo(f"application '{name}': its operation is being terminated")


@click.command()
@click.argument("name")
@click.option("--hard", is_flag=True, help="Render again, too.")
@talks
def refresh(client: Client, name: str, hard: bool) -> None:
    """Fetch and compare again now."""
    client.get(application(name), refresh="hard" if hard else "normal")
    click.echo(f"application '{name}' is being refreshed")


@click.command()
@click.argument("name")
@click.option("--key", "keys", multiple=True, metavar="GROUP/KIND/NAMESPACE/NAME", help="Only this object.")
@click.option("--plan", "digest", help="The digest of the plan that was looked at.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@talks
def approve(client: Client, name: str, keys: tuple[str, ...], digest: str | None, yes: bool) -> None:
    """Allow what a plan holds for a person: the deletion of a namespace, more deletions than the budget."""
    sync = client.get(application(name))["status"]["driftline"].get("sync") or {}
    if sync.get("phase") != "Held":
        raise Problem(f"application {name}: no plan waits for approval")
    held = client.get(application(name, f"/syncs/{sync['id']}"))["planView"]["held"]
    chosen = [each for each in held if not keys or each["key"] in keys]
    for why in dict.fromkeys(each["why"] for each in chosen):
        group = [f"{each['op']} {each['key'].strip('/')}" for each in chosen if each["why"] == why]
        click.echo("\n".join([f"{len(group)} changes: {why}", *group]) if len(group) > 1 else f"{group[0]}: {why}")
    if not yes and not digest:
        _sure(name, f"--yes or --plan {sync['plan']}", "Allow this?")
    body = {"digest": digest or sync["plan"], **({"keys": list(keys)} if keys else {})}
    client.post(application(name, "/plan/approve"), body)
    click.echo(f"application '{name}': approved")


def _sure(name: str, otherwise: str, question: str) -> None:
    """Ask a person. Raises Problem where there is none, with the options to give `otherwise`."""
    from service.cli.upkeep import interactive

    if not interactive():
        raise Problem(f"application {name}: add {otherwise}; there is no terminal to ask on")
    click.confirm(question, abort=True)


@click.command("confirm-deletion")
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@talks
def confirm_deletion(client: Client, name: str, yes: bool) -> None:
    """Confirm the deletions that ask for it (Prune=confirm, Delete=confirm) in what runs or goes now."""
    waits = client.get(application(name))["status"]["driftline"]["awaitsConfirmation"]
    for key in waits:
        click.echo(f"delete {key.strip('/')}")
    if waits and not yes:
        _sure(name, "--yes", "Confirm this?")
    client.post(application(name, "/confirm-deletion"))
    click.echo(f"application '{name}': deletion confirmed")


@click.command()
@click.argument("name")
@click.option("--reason", default="", help="Shown to everybody.")
@click.option("--for", "duration", default="", help="How long: 30m, 2h, 1d; until app resume if not given.")
@talks
def pause(client: Client, name: str, reason: str, duration: str) -> None:
    """Keep automation from starting syncs. Drift is still found and told."""
    body = {"reason": reason, **({"seconds": seconds_in(duration)} if duration else {})}
    client.post(application(name, "/pause"), body)
    click.echo(f"application '{name}' is paused")


@click.command()
@click.argument("name")
@talks
def resume(client: Client, name: str) -> None:
    """Let automation go on."""
    client.post(application(name, "/unpause"))
    click.echo(f"application '{name}' goes on")


@click.command()
@click.argument("name")
@talks
def unpin(client: Client, name: str) -> None:
    """Follow Git again after a rollback."""
    client.delete(application(name, "/pin"))
    click.echo(f"application '{name}' follows Git again")
