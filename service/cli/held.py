"""A plan that waits for a person: how `app get` and `app sync` name it, and the commands that help."""

from typing import Any

WAITS = "waits for approval: "
"""How the API begins the message of a held operation, whose phase it calls Running as Argo CD would."""


def is_held(app: Any) -> bool:
    """Whether the open operation of an application waits for a person."""
    return bool((app["status"]["driftline"].get("sync") or {}).get("phase") == "Held")


def operation(app: Any) -> tuple[str, str]:
    """Phase and message of the operation, in our words where it is held; both empty without one."""
    state = app["status"].get("operationState") or {}
    phase, message = str(state.get("phase") or ""), str(state.get("message") or "")
    return ("Held", message.removeprefix(WAITS)) if is_held(app) else (phase, message)


def next_step(app: Any) -> str:
    """The commands that allow or stop what waits; empty where nothing does."""
    name, ours = app["metadata"]["name"], app["status"]["driftline"]
    waits = set(ours["awaitsConfirmation"])
    if ours["deleting"]:
        return f"driftline app confirm-deletion {name}" if waits else ""
    if not is_held(app):
        return ""
    # Approving allows all that is held, a confirmation only what asks for one.
    confirms = waits and set(ours["sync"].get("held", waits)) <= waits
    deed = "confirm-deletion" if confirms else "approve"
    return f"driftline app {deed} {name}, or driftline app terminate-op {name}"
