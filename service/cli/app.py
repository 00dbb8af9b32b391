"""The group `app`. Its commands are loaded when they are called."""

import click

from service.cli.lazy import LazyGroup

_ONE = "service.cli.app_"
COMMANDS = {
    "create": f"{_ONE}declare:create",
    "set": f"{_ONE}declare:set_",
    "delete": f"{_ONE}declare:delete",
    "list": f"{_ONE}look:list_",
    "get": f"{_ONE}look:get",
    "history": f"{_ONE}look:history",
    "resources": f"{_ONE}look:resources",
    "manifests": f"{_ONE}look:manifests",
    "syncs": f"{_ONE}look:syncs",
    "diff": f"{_ONE}compare:diff",
    "plan": f"{_ONE}compare:plan",
    "sync": f"{_ONE}sync:sync",
    "wait": f"{_ONE}sync:wait",
    "rollback": f"{_ONE}sync:rollback",
    "terminate-op": f"{_ONE}operate:terminate_op",
    "refresh": f"{_ONE}operate:refresh",
    "approve": f"{_ONE}operate:approve",
    "confirm-deletion": f"{_ONE}operate:confirm_deletion",
    "pause": f"{_ONE}operate:pause",
    "resume": f"{_ONE}operate:resume",
    "unpin": f"{_ONE}operate:unpin",
}


@click.group("app", cls=LazyGroup, table=COMMANDS)
def app() -> None:
    """Applications: what Git says a cluster should hold."""
