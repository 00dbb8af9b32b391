"""Declare applications from files or options, change them, delete them. Options have Argo CD's names."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from service.cli.client import Client, Refused, application, talks
from service.cli.failing import Problem

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--repo", help="The repository's URL."),
    click.option("--path", help="The directory in it."),
    click.option("--revision", help="Branch, tag, commit or version range."),
    click.option("--helm-chart", help="The chart's name, for a Helm repository."),
    click.option(
        "--dest-server", help="The cluster's URL; https://kubernetes.default.svc is the one Driftline runs in."
    ),
    click.option("--dest-name", help="The cluster's name."),
    click.option("--dest-namespace", help="The namespace of objects that name none."),
    click.option("--project", help="The project; `default` if not given."),
    click.option("--sync-policy", type=click.Choice(["none", "manual", "automated", "auto"]), help="Who starts syncs."),
    click.option("--auto-prune", is_flag=True, default=None, help="Automated syncs delete what Git drops."),
    click.option("--self-heal", is_flag=True, default=None, help="Automated syncs repair drift."),
    click.option("--allow-empty", is_flag=True, default=None, help="Automated syncs may delete everything."),
    click.option("--sync-option", "sync_options", multiple=True, help="CreateNamespace=true, for example."),
    click.option("--sync-retry-limit", type=int, help="How often a failed automated sync is tried again."),
    click.option("--revision-history-limit", type=int, help="How many deployments are kept for rollbacks."),
    click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A Helm parameter."),
    click.option("--helm-set", "helm_sets", multiple=True, metavar="NAME=VALUE", help="The same."),
    click.option("--helm-set-string", "helm_strings", multiple=True, metavar="NAME=VALUE", help="The same, as text."),
    click.option("--values", "value_files", multiple=True, help="A Helm value file in the repository."),
    click.option(
        "--values-literal-file", type=click.Path(exists=True, dir_okay=False), help="A value file of this machine."
    ),
    click.option("--release-name", help="The Helm release's name."),
    click.option("--kustomize-image", "images", multiple=True, help="An image override: name=newname:tag."),
    click.option("--nameprefix", help="Kustomize's namePrefix."),
    click.option("--namesuffix", help="Kustomize's nameSuffix."),
    click.option("--directory-recurse", is_flag=True, default=None, help="Read sub-directories, too."),
    click.option("--directory-include", help="Only files like this."),
    click.option("--directory-exclude", help="No files like this."),
)


def _declaring(view: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        view = option(view)
    return view


@click.command()
@click.argument("name", required=False)
@click.option("-f", "--file", "file", help="Applications as YAML, - for standard input.")
@click.option("--upsert", is_flag=True, help="Change applications that exist with another spec.")
@click.option("--validate/--no-validate", default=True, hidden=True)
@click.option("-l", "--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label of the application.")
@click.option("--annotations", multiple=True, metavar="NAME=VALUE", help="An annotation of the application.")
@click.option("--set-finalizer", is_flag=True, help="Deleting the application deletes its objects.")
@_declaring
@talks
def create(
    client: Client,
    name: str | None,
    file: str | None,
    upsert: bool,
    validate: bool,
    labels: tuple[str, ...],
    annotations: tuple[str, ...],
    set_finalizer: bool,
    **given: Any,
) -> None:
    """Create applications: from a file, or from options."""
    documents = read_applications(file) if file else [_skeleton(name)]
    if file and name and len(documents) == 1:
        documents[0].setdefault("metadata", {}).setdefault("name", name)
    for document in documents:
        metadata = document.setdefault("metadata", {})
        _update_table(metadata, "labels", labels)
        _update_table(metadata, "annotations", annotations)
        if set_finalizer:
            metadata["finalizers"] = ["resources-finalizer.argocd.argoproj.io"]
        change_spec(document.setdefault("spec", {}), given)
        app = client.post("/api/v1/applications", document, upsert=upsert)
        click.echo(f"application '{app['metadata']['name']}' created")
        for warning in app["status"]["driftline"]["warnings"]:
            click.echo(f"warning: {warning}", err=True)


def _skeleton(name: str | None) -> dict[str, Any]:
    if not name:
        raise Problem("application: give a name and --repo, --path, --dest-..., or -f FILE")
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": name}, "spec": {}}


def read_applications(file: str) -> list[dict[str, Any]]:
    """The Applications in a YAML file, or on standard input for `-`. Other kinds are refused by name."""
    from driftline.formats.yaml import load_documents

    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Problem(f"{file}: {error.strerror}") from None
    found: list[dict[str, Any]] = []
    for document in load_documents(content, file):
        items = document.get("items") if isinstance(document, dict) and document.get("kind") == "List" else [document]
        for each in items or ():
            if not isinstance(each, dict) or each.get("kind") != "Application":
                kind = each.get("kind") if isinstance(each, dict) else type(each).__name__
                raise Problem(f"{file}: has an object of kind {kind}; only Applications can be created")
            found.append(each)
    if not found:
        raise Problem(f"{file}: has no Application")
    return found


def change_spec(spec: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Write the options that were given into a spec, in place."""
    _change_source(spec, given)
    destination = spec.setdefault("destination", {})
    for option, name in (("dest_server", "server"), ("dest_name", "name"), ("dest_namespace", "namespace")):
        _put(destination, name, given[option])
    if given["dest_server"]:
        destination.pop("name", None)
    elif given["dest_name"]:
        destination.pop("server", None)
    _put(spec, "project", given["project"])
    _put(spec, "revisionHistoryLimit", given["revision_history_limit"])
    _change_policy(spec, given)


def _change_source(spec: dict[str, Any], given: Mapping[str, Any]) -> None:
    values: dict[str, Any] = {}
    for option, name in (
        ("repo", "repoURL"),
        ("path", "path"),
        ("revision", "targetRevision"),
        ("helm_chart", "chart"),
    ):
        _put(values, name, given[option])
    helm: dict[str, Any] = {}
    _put(helm, "releaseName", given["release_name"])
    _put(helm, "valueFiles", list(given["value_files"]))
    if given["values_literal_file"]:
        helm["values"] = Path(given["values_literal_file"]).read_text(encoding="utf-8")
    plain = [_pair(each) for each in (*given["parameters"], *given["helm_sets"])]
    strings = [_pair(each) for each in given["helm_strings"]]
    parameters: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in plain]
    parameters += [{"name": name, "value": value, "forceString": True} for name, value in strings]
    kustomize: dict[str, Any] = {}
    for option, name in (("nameprefix", "namePrefix"), ("namesuffix", "nameSuffix")):
        _put(kustomize, name, given[option])
    _put(kustomize, "images", list(given["images"]))
    directory: dict[str, Any] = {}
    for option in ("recurse", "include", "exclude"):
        _put(directory, option, given[f"directory_{option}"])
    if not (values or helm or parameters or kustomize or directory):
        return
    if spec.get("sources"):
        raise Problem("application: has several sources; change them in its YAML, with create -f FILE --upsert")
    source = spec.setdefault("source", {})
    source.update(values)
    for name, block in (("helm", helm), ("kustomize", kustomize), ("directory", directory)):
        if block:
            source.setdefault(name, {}).update(block)
    if parameters:
        known = source.setdefault("helm", {}).setdefault("parameters", [])
        names = {each["name"] for each in parameters}
        known[:] = [each for each in known if each.get("name") not in names] + parameters


def _change_policy(spec: dict[str, Any], given: Mapping[str, Any]) -> None:
    policy = spec.get("syncPolicy") or {}
    if given["sync_policy"] in ("none", "manual"):
        policy.pop("automated", None)
    elif given["sync_policy"]:
        # `enabled: false` would leave it off.
        policy["automated"] = {**(policy.get("automated") or {})}
        policy["automated"].pop("enabled", None)
    for option, name in (("auto_prune", "prune"), ("self_heal", "selfHeal"), ("allow_empty", "allowEmpty")):
        if given[option]:
            if "automated" not in policy:
                raise Problem(f"--{option.replace('_', '-')}: needs --sync-policy automated")
            policy["automated"][name] = True
    if given["sync_options"]:
        names = {each.partition("=")[0] for each in given["sync_options"]}
        kept = [each for each in policy.get("syncOptions") or () if each.partition("=")[0] not in names]
        policy["syncOptions"] = kept + list(given["sync_options"])
    if given["sync_retry_limit"] is not None:
        policy.setdefault("retry", {})["limit"] = given["sync_retry_limit"]
    if policy:
        spec["syncPolicy"] = policy
    else:
        spec.pop("syncPolicy", None)


def _put(target: dict[str, Any], name: str, value: Any) -> None:
    if value not in (None, "", []):
        target[name] = value


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise Problem(f"{text!r}: want NAME=VALUE")
    return name, value


def _update_table(metadata: dict[str, Any], name: str, given: tuple[str, ...]) -> None:
    if given:
        metadata[name] = {**(metadata.get(name) or {}), **dict(_pair(each) for each in given)}


@click.command("set")
@click.argument("name")
@_declaring
@talks
def set_(client: Client, name: str, **given: Any) -> None:
    """Change parts of an application's spec."""
    app = client.get(application(name))
    spec = app["spec"]
    change_spec(spec, given)
    client.put(application(name, "/spec"), spec)
    click.echo(f"application '{name}' changed")


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--cascade/--no-cascade", default=None, help="Whether its objects go, too; else its finalizer decides.")
@click.option("--propagation-policy", type=click.Choice(["foreground", "background"]), default="foreground")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--wait/--no-wait", "waits", default=False, help="Until it is gone.")
@click.option("--timeout", type=float, default=600, help="Seconds to wait.")
@talks
def delete(
    client: Client,
    names: tuple[str, ...],
    cascade: bool | None,
    propagation_policy: str,
    yes: bool,
    waits: bool,
    timeout: float,
) -> None:
    """Delete applications."""
    from service.cli.app_sync import until

    for name in names:
        if not yes:
            _sure(name, cascade)
        client.delete(application(name), cascade=cascade, propagationPolicy=propagation_policy)
        click.echo(f"application '{name}' is being deleted")
    if waits:
        for name in names:
            until(lambda name=name: gone(client, name), timeout, f"application {name}: is not gone yet")  # type: ignore[misc]


def _sure(name: str, cascade: bool | None) -> None:
    from service.cli.upkeep import interactive

    if not interactive():
        raise Problem(f"application {name}: add --yes to delete it; there is no terminal to ask on")
    what = {True: "and its objects", False: "and leave its objects"}.get(cascade, "") if cascade is not None else ""
    click.confirm(f"Delete application {name} {what}".rstrip() + "?", abort=True)


def gone(client: Client, name: str) -> bool:
    """Whether the server knows no such application."""
    try:
        client.get(application(name))
    except Refused as refused:
        if refused.status in (403, 404):
            return True
        raise
    return False
