"""`driftline`: the first module that runs. Imports click and nothing else that is not needed for `--version`."""

import sys
from collections.abc import Sequence

import click

from service.cli.lazy import LazyGroup

_ONE = "service.cli."
COMMANDS = {
    "up": f"{_ONE}up:up",
    "down": f"{_ONE}up:down",
    "web": f"{_ONE}processes:web",
    "worker": f"{_ONE}processes:worker",
    "beat": f"{_ONE}processes:beat",
    "watch": f"{_ONE}processes:watch",
    "migrate": f"{_ONE}upkeep:migrate",
    "doctor": f"{_ONE}upkeep:doctor",
    "settings": f"{_ONE}upkeep:settings",
    "keys": f"{_ONE}upkeep:keys",
    "login": f"{_ONE}people:login",
    "logout": f"{_ONE}people:logout",
    "account": f"{_ONE}people:account",
    "token": f"{_ONE}people:token",
    "app": f"{_ONE}app:app",
    "repo": f"{_ONE}repo:repo",
    "cluster": f"{_ONE}cluster:cluster",
    "drift": f"{_ONE}reports:drift",
    "alerts": f"{_ONE}reports:alerts",
    "jobs": f"{_ONE}reports:jobs",
    "version": f"{_ONE}reports:version",
}


def _version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"driftline {version('driftline')}")
        ctx.exit()


@click.group(cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version.")
@click.option("--server", help="URL of the server. Also DRIFTLINE_SERVER, ARGOCD_SERVER.")
@click.option("--auth-token", help="An API token. Also DRIFTLINE_AUTH_TOKEN, ARGOCD_AUTH_TOKEN.")
@click.option("--insecure", is_flag=True, help="Accept any certificate of the server.")
@click.option("--plaintext", is_flag=True, help="Speak http to a server that is named without a scheme.")
@click.pass_context
def cli(ctx: click.Context, server: str | None, auth_token: str | None, insecure: bool, plaintext: bool) -> None:
    """GitOps continuous delivery for Kubernetes."""
    ctx.obj = {"server": server, "auth_token": auth_token, "insecure": insecure, "plaintext": plaintext}


def run(arguments: Sequence[str] | None = None) -> None:
    """Run one command line and end the process: 0 done or in sync, 1 error, 2 different (diff and plan)."""
    from service.cli.failing import code_of

    sys.exit(code_of(cli, arguments))


if __name__ == "__main__":
    run()
