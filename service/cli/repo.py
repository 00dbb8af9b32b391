"""Repositories of manifests and charts, and how to reach them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from service.cli import show
from service.cli.client import Client, escaped, talks


@click.group()
def repo() -> None:
    """Repositories of manifests and charts, and how to reach them."""


@repo.command()
@click.argument("url")
@click.option("--username", default="")
@click.option("--password", default="", help="Or DRIFTLINE_REPO_PASSWORD, which no process list shows.")
@click.option("--bearer-token", default="", help="Or DRIFTLINE_REPO_BEARER_TOKEN.")
@click.option("--ssh-private-key-path", type=click.Path(exists=True, dir_okay=False), help="The private key's file.")
@click.option("--known-hosts-path", type=click.Path(exists=True, dir_okay=False), help="A known_hosts file.")
@click.option("--ca-path", type=click.Path(exists=True, dir_okay=False), help="A private certificate authority, PEM.")
@click.option("--insecure-skip-server-verification", "unverified", is_flag=True, help="Accept any certificate.")
@click.option("--proxy", default="", help="URL of a proxy.")
@click.option("--no-proxy", default="", help="Hosts that are reached without the proxy, with commas between.")
@click.option("--tls-client-cert-path", type=click.Path(exists=True, dir_okay=False), help="A client certificate, PEM.")
@click.option("--tls-client-cert-key-path", type=click.Path(exists=True, dir_okay=False), help="Its key, PEM.")
@click.option("--project", default="", help="Only for applications of this project.")
@click.option("--type", "kind", default="git", show_default=True, type=click.Choice(["git", "helm", "oci"]))
@click.option("--name", default="", help="What people call it; mandatory for --type helm.")
@click.option("--enable-oci", is_flag=True, help="With --type helm: a registry that holds charts.")
@click.option("--insecure-oci-force-http", is_flag=True, help="Speak to the registry over plain http.")
@click.option("--pass-credentials", is_flag=True, help="Send the credentials to other hosts that hold the charts, too.")
@click.option("--webhook-secret", default="", help="Secret of the repository's own webhook URL.")
@click.option("--template", is_flag=True, help="Credentials for every repository whose URL begins with URL.")
@click.option("--no-check", is_flag=True, help="Do not ask the host whether it can be read.")
@click.option("--upsert", is_flag=True, help="Change it if it is registered already.")
@talks
def add(client: Client, url: str, **given: Any) -> None:
    """Register a repository, after asking its host whether it can be read."""
    body = {
        "repo": url,
        "type": given["kind"],
        "username": given["username"],
        "password": given["password"] or os.environ.get("DRIFTLINE_REPO_PASSWORD", ""),
        "bearerToken": given["bearer_token"] or os.environ.get("DRIFTLINE_REPO_BEARER_TOKEN", ""),
        "sshPrivateKey": _text(given["ssh_private_key_path"]),
        "knownHosts": _text(given["known_hosts_path"]),
        "ca": _text(given["ca_path"]),
        "insecure": given["unverified"],
        "proxy": given["proxy"],
        "noProxy": given["no_proxy"],
        "tlsClientCertData": _text(given["tls_client_cert_path"]),
        "tlsClientCertKey": _text(given["tls_client_cert_key_path"]),
        "name": given["name"],
        "enableOCI": given["enable_oci"],
        "insecureOCIForceHttp": given["insecure_oci_force_http"],
        "passCredentials": given["pass_credentials"],
        "project": given["project"],
        "skipCheck": given["no_check"],
        "webhookSecret": given["webhook_secret"],
    }
    path = "/api/v1/repocreds" if given["template"] else "/api/v1/repositories"
    saved = client.post(path, {key: value for key, value in body.items() if value}, upsert=given["upsert"])
    click.echo(f"repository '{saved['repo']}' added")
    if saved["webhook"]["hasSecret"]:
        click.echo(f"its own webhook: {client.target.server}{saved['webhook']['path']}")


def _text(path: str | None) -> str:
    return Path(path).read_text(encoding="utf-8") if path else ""


@repo.command("list")
@click.option("--template", is_flag=True, help="The credential templates.")
@show.output()
@talks
def list_(client: Client, template: bool, form: str) -> None:
    """List repositories."""
    columns: list[tuple[str, Callable[[Any], Any]]] = [
        ("TYPE", lambda each: each["type"]),
        ("NAME", lambda each: each["name"]),
        ("REPO", lambda each: each["repo"]),
        ("PROJECT", lambda each: each["project"]),
        ("CREDS", lambda each: "yes" if each["hasCredentials"] else "no"),
        ("STATUS", lambda each: each["connectionState"]["status"]),
        ("MESSAGE", lambda each: each["connectionState"]["message"]),
    ]
    if form == "wide":
        columns += [
            ("FETCHED", lambda each: each["connectionState"]["attemptedAt"]),
            ("HEAD", lambda each: each["head"]),
        ]
    found = client.pages("/api/v1/repocreds" if template else "/api/v1/repositories")
    show.listing(list(found), form, columns, "repo")


@repo.command()
@click.argument("urls", nargs=-1, required=True)
@click.option("--project", default="", help="The project that it belongs to.")
@talks
def rm(client: Client, urls: tuple[str, ...], project: str) -> None:
    """Forget repositories that no application reads."""
    for url in urls:
        client.delete(f"/api/v1/repositories/{escaped(url)}", project=project)
        click.echo(f"repository '{url}' removed")
