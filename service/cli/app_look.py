"""Look at applications: list, get, history, resources, manifests, syncs."""

import json
from collections.abc import Callable
from typing import Any

import click

from driftline.model.revisions import titled
from service.cli import held, show
from service.cli.client import Client, application, talks
from service.cli.failing import Problem


@click.command("list")
@click.option("-p", "--project", "projects", multiple=True, help="Only of this project; may be given again.")
@click.option("-l", "--selector", default="", help="Only with these labels: app=web,tier in (a,b),!old.")
@click.option("-r", "--repo", default="", help="Only those that read this repository.")
@click.option("--name", "search", default="", help="Only those whose name contains this.")
@show.output()
@talks
def list_(client: Client, projects: tuple[str, ...], selector: str, repo: str, search: str, form: str) -> None:
    """List applications."""
    query = {"projects": projects, "selector": selector, "repo": repo, "search": search}
    found = list(client.pages("/api/v1/applications", **query))
    columns: list[tuple[str, Callable[[Any], Any]]] = [
        ("NAME", lambda app: app["metadata"]["name"]),
        ("CLUSTER", lambda app: destination(app)),
        ("NAMESPACE", lambda app: app["spec"]["destination"].get("namespace")),
        ("PROJECT", lambda app: app["spec"].get("project")),
        ("STATUS", sync_word),
        ("HEALTH", lambda app: app["status"]["health"]["status"]),
        ("SYNCPOLICY", policy),
        ("CONDITIONS", lambda app: ",".join(sorted({each["type"] for each in app["status"]["conditions"]}))),
    ]
    if form == "wide":
        columns += [
            ("REPO", lambda app: source(app).get("repoURL")),
            ("PATH", lambda app: source(app).get("path") or source(app).get("chart")),
            ("TARGET", lambda app: source(app).get("targetRevision")),
            ("REVISION", lambda app: titled(revision(app))),
        ]
    show.listing(found, form, columns)


def destination(app: Any) -> str:
    """The cluster as declared."""
    found = app["spec"]["destination"]
    return str(found.get("server") or found.get("name") or "")


def source(app: Any) -> dict[str, Any]:
    """The first source."""
    found: dict[str, Any] = (app["spec"].get("sources") or [app["spec"].get("source") or {}])[0]
    return found


def revision(app: Any) -> str:
    """The revision of the first source that was compared last."""
    sync = app["status"]["sync"]
    return str(sync.get("revision") or next(iter(sync.get("revisions") or ()), ""))


def sync_word(app: Any) -> str:
    """The sync status, and whether somebody holds automation."""
    ours = app["status"]["driftline"]
    notes = [
        word
        for word, on in (("deleting", ours["deleting"]), ("paused", ours["paused"]), ("pinned", ours["pinned"]))
        if on
    ]
    return str(app["status"]["sync"]["status"]) + (f" ({', '.join(notes)})" if notes else "")


def policy(app: Any) -> str:
    """`Manual`, `Auto`, `Auto-Prune`, as Argo CD shows it."""
    automated = (app["spec"].get("syncPolicy") or {}).get("automated")
    if automated is None or automated.get("enabled") is False:
        return "Manual"
    return "Auto-Prune" if automated.get("prune") else "Auto"


@click.command()
@click.argument("name")
@click.option("--refresh", "look", flag_value="normal", help="Fetch and compare again.")
@click.option("--hard-refresh", "look", flag_value="hard", help="The same, and render again.")
@show.output("table", "wide", "json", "yaml", "tree")
@talks
def get(client: Client, name: str, look: str | None, form: str) -> None:
    """Show one application with its objects."""
    app = client.get(application(name), refresh=look)
    if form in ("json", "yaml"):
        show.document(app, form)
        return
    show.pairs(summary(app))
    for each in app["status"]["conditions"]:
        click.echo(f"\n{each['type']}: {each['message']}")
    resources = app["status"].get("resources") or []
    if resources:
        click.echo()
        objects(resources)


def summary(app: Any) -> list[tuple[str, Any]]:
    """Name and value of what is to know of an application, in lines."""
    status, ours = app["status"], app["status"]["driftline"]
    phase, said = held.operation(app)
    health = status["health"]["status"]
    message = status["health"].get("message")
    return [
        ("Name", app["metadata"]["name"]),
        ("Project", app["spec"].get("project")),
        ("Server", destination(app)),
        ("Namespace", app["spec"]["destination"].get("namespace")),
        ("Repo", source(app).get("repoURL")),
        ("Target", source(app).get("targetRevision") or ("*" if source(app).get("chart") else "HEAD")),
        ("Path", source(app).get("path") or source(app).get("chart")),
        ("Sync Policy", policy(app)),
        ("Sync Status", f"{sync_word(app)} {titled(revision(app))}".strip()),
        ("Health Status", f"{health} ({message})" if message else health),
        ("Operation", phase),
        ("Message", said),
        ("Next", held.next_step(app)),
        ("Paused", _held(ours["paused"])),
        ("Pinned", _held(ours["pinned"])),
        ("Warnings", "; ".join(ours["warnings"])),
    ]


def _held(found: Any) -> str:
    if not found:
        return ""
    why = f", {found['why']}" if found.get("why") else ""
    until = f", until {found['until']}" if found.get("until") else ""
    revision = f"to {found['revision']}, " if found.get("revision") else ""
    return f"{revision}by {found.get('by') or 'nobody named'}{why}{until}"


def objects(found: list[Any]) -> None:
    """A table of an application's objects."""
    columns = ("group", "kind", "namespace", "name", "status")
    rows = [
        [*(each.get(name) for name in columns), (each.get("health") or {}).get("status"), each.get("message")]
        for each in found
    ]
    show.table([*(name.upper() for name in columns), "HEALTH", "MESSAGE"], rows)


@click.command()
@click.argument("name")
@show.output("table", "wide", "json", "yaml")
@talks
def history(client: Client, name: str, form: str) -> None:
    """Show the deployments that a rollback can go back to."""
    app = client.get(application(name))
    found = list(reversed(app["status"].get("history") or []))
    columns: list[tuple[str, Callable[[Any], Any]]] = [
        ("ID", lambda each: each["id"]),
        ("DATE", lambda each: each["deployedAt"]),
        ("REVISION", lambda each: titled(each["revision"])),
        ("BY", lambda each: each["initiatedBy"].get("username") or "automated"),
    ]
    show.listing(found, form, columns)


@click.command()
@click.argument("name")
@show.output("table", "wide", "json", "yaml")
@talks
def resources(client: Client, name: str, form: str) -> None:
    """Show the objects of an application."""
    found = client.get(application(name))["status"].get("resources") or []
    if form in ("json", "yaml"):
        show.document(found, form)
    else:
        objects(found)


@click.command()
@click.argument("name")
@click.option("--revision", default="", help="Of this revision instead of the one that the application follows.")
@click.option("--source", type=click.Choice(["git", "live"]), default="git", show_default=True)
@talks
def manifests(client: Client, name: str, revision: str, source: str) -> None:
    """Print what Git wants (or what is live), as YAML, secrets masked."""
    import yaml

    if source == "git":
        found = [
            json.loads(text) for text in client.get(application(name, "/manifests"), revision=revision)["manifests"]
        ]
    else:
        nodes = client.get(application(name, "/resource-tree"))["nodes"]
        asked = [
            {**{part: each[part] for part in ("group", "kind", "namespace")}, "resourceName": each["name"]}
            for each in nodes
        ]
        found = [json.loads(client.get(application(name, "/resource"), **each)["manifest"]) for each in asked]
    click.echo(yaml.safe_dump_all(found, sort_keys=False, explicit_start=True), nl=False)


@click.command()
@click.argument("name")
@click.argument("sync", required=False)
@show.output("table", "wide", "json", "yaml")
@talks
def syncs(client: Client, name: str, sync: str | None, form: str) -> None:
    """Show an application's syncs, or one of them with its plan and results."""
    if sync:
        if not sync.isdecimal():
            raise Problem(f"sync {sync}: want its number")
        found = client.get(application(name, f"/syncs/{sync}"))
        if form in ("json", "yaml"):
            show.document(found, form)
        else:
            show.pairs(
                [
                    (key, found[key])
                    for key in ("id", "phase", "kind", "initiatedBy", "startedAt", "finishedAt", "message")
                ]
            )
            click.echo((found["planView"] or {}).get("text", ""))
        return
    page = client.get(application(name, "/syncs"), limit=50)["items"]
    columns: list[tuple[str, Callable[[Any], Any]]] = [
        ("ID", lambda each: each["id"]),
        ("PHASE", lambda each: each["phase"]),
        ("KIND", lambda each: each["kind"]),
        ("REVISION", lambda each: titled(next(iter(each["revisions"]), ""))),
        ("STARTED", lambda each: each["startedAt"]),
        ("FINISHED", lambda each: each["finishedAt"]),
        ("MESSAGE", lambda each: each["message"][:80]),
    ]
    show.listing(page, form, columns)
