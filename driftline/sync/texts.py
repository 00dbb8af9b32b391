"""The sentences of an operation, as Argo CD words them (SYNC-07 to SYNC-10), so that people and scripts know them."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from driftline.model.objects import Key
from driftline.model.plan import Action

ALL_RUN = "successfully synced (all tasks run)"
NO_MORE_TASKS = "successfully synced (no more tasks)"
TERMINATED = "Operation terminated"
TERMINATING_BY_TIMEOUT = "operation is terminating due to timeout"
NOT_VALID = "one or more synchronization tasks are not valid"
PRUNED = "pruned"
PRUNED_DRY = "pruned (dry run)"
REQUIRES_PRUNING = "ignored (requires pruning)"
NO_PRUNE = "ignored (no prune)"

_APPLIED = {
    Action.CREATED: "created",
    Action.UPDATED: "configured",
    Action.CLAIMED: "serverside-applied",
    Action.ADOPTED: "configured",
    Action.RECREATED: "configured",
    Action.UNCHANGED: "unchanged",
    Action.PRUNED: "",
    Action.RAN: "created",
}


def result(key: Key, action: Action) -> str:
    """What came of one object: `deployment.apps/web configured`, `pruned`."""
    if action is Action.PRUNED:
        return PRUNED
    kind = key.kind.lower()
    resource = f"{kind}.{key.group}" if key.group else kind
    return f"{resource}/{key.name} {_APPLIED[action]}"


def waiting(what: str, keys: Sequence[Key], things: str = "resources") -> str:
    """`waiting for healthy state of apps/Deployment/web and 2 more resources`. `keys` is not empty."""
    more = len(keys) - 1
    first = "/".join(part for part in (keys[0].group, keys[0].kind, keys[0].name) if part)
    return f"waiting for {what} {first} and {more} more {things}" if more else f"waiting for {what} {first}"


def healthy_state(keys: Sequence[Key]) -> str:
    return waiting("healthy state of", keys)


def hook_completion(keys: Sequence[Key]) -> str:
    return waiting("completion of hook", keys, "hooks")


def deletion(keys: Sequence[Key]) -> str:
    return waiting("deletion of", keys)


def pruning_confirmation(keys: Sequence[Key]) -> str:
    return waiting("pruning confirmation of", keys)


def deletion_confirmation(keys: Sequence[Key]) -> str:
    return waiting("deletion confirmation of", keys)


def apply_failed(reasons: Iterable[str]) -> str:
    """Some writes were refused."""
    return _because("one or more objects failed to apply", reasons)


def tasks_failed(reasons: Iterable[str]) -> str:
    """Objects became Degraded, hooks failed, or waits ran out."""
    return _because("one or more synchronization tasks completed unsuccessfully", reasons)


def sync_fail_failed(reasons: Iterable[str]) -> str:
    """A line that is put after the message of the operation that the SyncFail hooks were to tidy up."""
    return _because("one or more SyncFail hooks failed", reasons)


def _because(sentence: str, reasons: Iterable[str]) -> str:
    found = list(dict.fromkeys(reason for reason in reasons if reason))
    return f"{sentence}, reason: {','.join(found)}" if found else sentence


def retrying(message: str, attempt: int, at: datetime) -> str:
    """The message of an operation between two attempts. `at` is shown in UTC, in Argo CD's `3:04PM`."""
    clock = f"{at.hour % 12 or 12}:{at.minute:02}{'AM' if at.hour < 12 else 'PM'}"
    return f"{message}. Retrying attempt #{attempt} at {clock}."


def given_up(message: str, attempts: int) -> str:
    """The message of an operation whose last retry failed too; unchanged when there was none."""
    return f"{message} (retried {attempts} times)." if attempts else message


def failed_attempt(revision: str, message: str) -> str:
    """Condition SyncError: the revision was tried and is not tried again."""
    return f"Failed last sync attempt to {revision}: {message}"


def would_wipe_out(revision: str) -> str:
    """Condition SyncError: every object would be pruned."""
    return f"Skipping sync attempt to {revision}: auto-sync will wipe out all resources"


def shared_resource(key: Key, applications: Iterable[str]) -> str:
    """Condition SharedResourceWarning."""
    return f"{key.kind}/{key.name} is part of applications {', '.join(sorted(applications))}"
