"""Sync, roll back, wait: start an operation, or a state, and show how it comes about."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from service.cli import held, show
from service.cli.app_look import objects
from service.cli.app_watch import Watcher, error_of
from service.cli.client import Client, application, talks
from service.cli.failing import Problem

POLL = 0.3
"""Seconds between two looks."""
ENDED = ("Succeeded", "Failed", "Error", "Superseded")


def until(check: Callable[[], bool], timeout: float, otherwise: str) -> None:
    """Ask again and again until it is so. Raises Problem after `timeout` seconds; 0 is without end."""
    end = time.monotonic() + timeout if timeout else float("inf")
    while not check():
        if time.monotonic() > end:
            raise Problem(f"{otherwise} after {timeout:g} s")
        time.sleep(POLL)


@click.command()
@click.argument("names", nargs=-1)
@click.option("-l", "--selector", default="", help="Every application with these labels.")
@click.option("--project", "projects", multiple=True, help="Every application of this project.")
@click.option("--revision", default="", help="Sync to this revision.")
@click.option("--prune", is_flag=True, default=None, help="Delete what Git does not name any more.")
@click.option("--dry-run", is_flag=True, help="Let the API server say what would happen; write nothing.")
@click.option("--resource", "resources", multiple=True, metavar="GROUP:KIND:[NAMESPACE/]NAME", help="Only this object.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Only objects with this label.")
@click.option("--force", is_flag=True, help="Delete and create objects of which an immutable field differs.")
@click.option("--replace", is_flag=True, help="The sync option Replace=true.")
@click.option("--server-side", is_flag=True, help="Accepted: everything is applied server-side.")
@click.option("--apply-out-of-sync-only", is_flag=True, help="Accepted: what is in sync is never written.")
@click.option("--strategy", type=click.Choice(["apply", "hook"]), help="`apply` runs no hooks.")
@click.option("--info", "infos", multiple=True, metavar="NAME=VALUE", help="Kept with the operation.")
@click.option("--preview-changes", is_flag=True, help="Show the plan and ask first.")
@click.option("--assumeYes", "assume_yes", is_flag=True, help="Do not ask after --preview-changes.")
@click.option("--async", "asynchronous", is_flag=True, help="Do not wait for its end.")
@click.option("--timeout", type=float, default=0, help="Seconds to wait; 0 is without end.")
@show.output("table", "wide", "json", "yaml")
@talks
def sync(client: Client, names: tuple[str, ...], selector: str, projects: tuple[str, ...], **given: Any) -> None:
    """Make the cluster what Git says, and wait for the operation's end (not for health: app wait does)."""
    chosen = list(names)
    if selector or projects:
        found = client.pages("/api/v1/applications", selector=selector, projects=projects)
        chosen += [app["metadata"]["name"] for app in found]
    if not chosen:
        raise Problem("application: name one, or choose some with --selector or --project")
    if given["preview_changes"]:
        for name in chosen:
            _preview(client, name, given)
    started = [(name, start(client, name, given)) for name in chosen]
    if given["asynchronous"]:
        return
    failed = [name for name, number in started if not follow(client, name, number, given["timeout"], given["form"])]
    if failed:
        raise click.exceptions.Exit(1)


def _preview(client: Client, name: str, given: dict[str, Any]) -> None:
    plan = client.get(application(name, "/plan"), revision=given["revision"], prune=given["prune"])
    click.echo(f"{name}:")
    click.echo(plan["text"])
    if not plan["empty"] and not given["assume_yes"]:
        click.confirm("Do this?", abort=True)


def start(client: Client, name: str, given: dict[str, Any]) -> int:
    """Ask for a sync and return its number."""
    options = ["Replace=true"] if given["replace"] else []
    resources = [resource(each) for each in given["resources"]]
    if given["labels"]:
        resources += _labelled(client, name, given["labels"], given["revision"])
    strategy = given["strategy"] or "hook"
    body: dict[str, Any] = {
        "name": name,
        "revision": given["revision"],
        "prune": given["prune"],
        "dryRun": given["dry_run"],
        "resources": resources,
        "strategy": {strategy: {"force": given["force"]}},
        "infos": [{"name": each.partition("=")[0], "value": each.partition("=")[2]} for each in given["infos"]],
    }
    if options:
        body["syncOptions"] = {"items": options}
    app = client.post(
        application(name, "/sync"), {key: value for key, value in body.items() if value not in (None, "", [])}
    )
    return int(app["status"]["driftline"]["sync"]["id"])


def resource(text: str) -> dict[str, str]:
    """Read `GROUP:KIND:[NAMESPACE/]NAME`, `:Service:web` for the core group."""
    parts = text.split(":", 2)
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise Problem(f"resource {text!r}: want GROUP:KIND:NAME or GROUP:KIND:NAMESPACE/NAME")
    namespace, slash, name = parts[2].rpartition("/")
    return {"group": parts[0], "kind": parts[1], "namespace": namespace if slash else "", "name": name}


def _labelled(client: Client, name: str, labels: Sequence[str], revision: str) -> list[dict[str, str]]:
    import json

    wanted = [each.partition("=")[::2] for each in labels]
    found = []
    for text in client.get(application(name, "/manifests"), revision=revision)["manifests"]:
        body = json.loads(text)
        metadata = body["metadata"]
        if all((metadata.get("labels") or {}).get(key) == value for key, value in wanted):
            group = body["apiVersion"].rpartition("/")[0]
            found.append(
                {
                    "group": group,
                    "kind": body["kind"],
                    "namespace": metadata.get("namespace", ""),
                    "name": metadata["name"],
                }
            )
    if not found:
        raise Problem(f"application {name}: no object in Git has these labels")
    return found


def follow(client: Client, name: str, number: int, timeout: float, form: str) -> bool:
    """Show a sync until it ends, and its results; whether it succeeded. A newer one that takes over is followed."""
    found = _ended(client, name, number, timeout)
    app = client.get(application(name))
    if form in ("json", "yaml"):
        show.document(app, form)
    else:
        _results(name, found, found["message"] or (error_of(app) if found["phase"] != "Succeeded" else ""))
    return bool(found["phase"] == "Succeeded")


def _ended(client: Client, name: str, number: int, timeout: float) -> Any:
    end = time.monotonic() + timeout if timeout else float("inf")
    with Watcher(name, sys.stderr) as watcher:
        while True:
            found = client.get(application(name, f"/syncs/{number}"))
            watcher.tell(found)
            if found["phase"] == "Superseded":
                newest = client.get(application(name, "/syncs"), limit=1)["items"][0]["id"]
                if newest == number:
                    return found
                number = newest
                continue
            if found["phase"] in ENDED:
                return found
            if found["phase"] == "Held":
                step = held.next_step(client.get(application(name))) or f"driftline app get {name}"
                raise Problem(f"application {name}: held: {found['message'] or 'its plan waits'}; {step}")
            if time.monotonic() > end:
                raise Problem(
                    f"application {name}: the sync is still {found['stage'] or 'running'} after {timeout:g} s"
                )
            time.sleep(POLL)


def _results(name: str, found: Any, message: str) -> None:
    resources = found["operationState"]["syncResult"]["resources"]
    if resources:
        rows = [{**each, "health": {"status": each.get("action") or each.get("hookPhase")}} for each in resources]
        show.table(
            ["GROUP", "KIND", "NAMESPACE", "NAME", "STATUS", "DONE", "MESSAGE"],
            [
                [
                    *(each.get(key) for key in ("group", "kind", "namespace", "name", "status")),
                    each["health"]["status"],
                    each.get("message"),
                ]
                for each in rows
            ],
        )
    click.echo(f"{name}: {found['phase']}" + (f": {message}" if message else ""))


@click.command()
@click.argument("name")
@click.argument("number", metavar="[ID]", required=False, type=int)
@click.option("--prune", is_flag=True, help="Delete what that deployment did not have.")
@click.option("--dry-run", is_flag=True, help="Write nothing.")
@click.option("--reason", default="", help="Shown while the rollback holds.")
@click.option("--async", "asynchronous", is_flag=True, help="Do not wait for its end.")
@click.option("--timeout", type=float, default=0, help="Seconds to wait; 0 is without end.")
@show.output("table", "wide", "json", "yaml")
@talks
def rollback(client: Client, name: str, number: int | None, reason: str, **given: Any) -> None:
    """Deploy an earlier entry of the history, or the one before the present.

    With automated sync it holds until Git has something newer; app unpin lifts it at once.
    """
    body = {"id": number, "prune": given["prune"], "dryRun": given["dry_run"], "reason": reason}
    app = client.post(application(name, "/rollback"), body)
    started = int(app["status"]["driftline"]["sync"]["id"])
    if given["asynchronous"]:
        return
    if not follow(client, name, started, given["timeout"], given["form"]):
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("names", nargs=-1)
@click.option("-l", "--selector", default="", help="Every application with these labels.")
@click.option("--sync", "synced", is_flag=True, help="Until it is synced.")
@click.option("--health", "healthy", is_flag=True, help="Until it is healthy.")
@click.option("--operation", is_flag=True, help="Until no operation runs.")
@click.option("--suspended", is_flag=True, help="Until it is suspended.")
@click.option("--degraded", is_flag=True, help="Until it is degraded.")
@click.option("--delete", "deleted", is_flag=True, help="Until it is gone.")
@click.option("--timeout", type=float, default=0, help="Seconds to wait; 0 is without end.")
@show.output("table", "wide", "json", "yaml")
@talks
def wait(client: Client, names: tuple[str, ...], selector: str, **given: Any) -> None:
    """Wait until applications are synced and healthy and no operation runs, or for what the options name."""
    chosen = list(names)
    if selector:
        chosen += [app["metadata"]["name"] for app in client.pages("/api/v1/applications", selector=selector)]
    if not chosen:
        raise Problem("application: name one, or choose some with --selector")
    wanted = {key: given[key] for key in ("synced", "healthy", "operation", "suspended", "degraded")}
    if not any(wanted.values()):
        wanted |= {"synced": True, "healthy": True, "operation": True}
    end = time.monotonic() + given["timeout"] if given["timeout"] else float("inf")
    for name in chosen:
        if given["deleted"]:
            _wait_gone(client, name, given["timeout"])
        else:
            _wait_state(client, name, wanted, end, given)


def _wait_gone(client: Client, name: str, timeout: float) -> None:
    from service.cli.app_declare import gone

    until(lambda: gone(client, name), timeout, f"application {name}: is not gone")


def _wait_state(client: Client, name: str, wanted: dict[str, Any], end: float, given: dict[str, Any]) -> None:
    with Watcher(name, sys.stderr) as watcher:
        while True:
            app = client.get(application(name))
            missing = _missing(app, wanted)
            watcher.tell_state(app)
            if not missing:
                break
            if time.monotonic() > end:
                reason = f"; {found}" if (found := error_of(app)) else ""
                raise Problem(f"application {name}: {', '.join(missing)} after {given['timeout']:g} s{reason}")
            time.sleep(POLL)
    if given["form"] in ("json", "yaml"):
        show.document(app, given["form"])
    else:
        status = app["status"]
        click.echo(f"{name}: {status['sync']['status']}, {status['health']['status']}")
        if given["form"] == "wide":
            objects(status.get("resources") or [])


def _missing(app: Any, wanted: dict[str, Any]) -> list[str]:
    """What an application is that it should not be, in words; nothing when it is as wanted."""
    status = app["status"]
    sync, health = status["sync"]["status"], status["health"]["status"]
    running = (status.get("operationState") or {}).get("phase") in ("Running", "Terminating") or "operation" in app
    found = []
    if wanted["synced"] and sync != "Synced":
        found.append(f"is {sync}")
    states = {"healthy": "Healthy", "suspended": "Suspended", "degraded": "Degraded"}
    accepted = [word for key, word in states.items() if wanted[key]]
    if accepted and health not in accepted:
        message = status["health"].get("message")
        found.append(f"is {health}" + (f" ({message})" if message else ""))
    if wanted["operation"] and running:
        found.append("an operation runs")
    return found
