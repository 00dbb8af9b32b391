"""Health of a Pod: one that is to run for ever, and one that is to end."""

from collections.abc import Iterator

from driftline.health.shape import (
    Fields,
    annotations,
    condition,
    count,
    degraded,
    fields,
    healthy,
    items,
    progressing,
    text,
    unknown,
)
from driftline.model.health import Health

IGNORE_RESTART_POLICY = "argocd.argoproj.io/ignore-restart-policy"
_HOOKS = ("argocd.argoproj.io/hook", "helm.sh/hook")


def pod(live: Fields) -> Health:
    """A Pod with restartPolicy Always is well when ready; any other is well only when it has succeeded."""
    status = fields(live, "status")
    message = text(status.get("message"))
    forever = _runs_forever(live)
    if forever and (stuck := [words for words in _stuck(status) if words is not None]):
        return degraded(", ".join(words for words in stuck if words))
    match status.get("phase"):
        case "Pending":
            return progressing(message)
        case "Succeeded":
            return healthy(message)
        case "Failed":
            return degraded(message or _first_failure(status))
        case "Running":
            return _running_forever(live, message) if forever else progressing(message)
    return unknown(message)


def _runs_forever(live: Fields) -> bool:
    # A Pod that is to end may wait for its image without being a failure: as a hook it would otherwise fail the sync
    # and then run after all once the image is there.
    if fields(live, "spec").get("restartPolicy", "Always") == "Always":
        return True
    marks = annotations(live)
    hook = any(marks.get(name) for name in _HOOKS)
    return marks.get(IGNORE_RESTART_POLICY) == "true" and not hook


def _stuck(status: Fields) -> Iterator[str]:
    """The messages of containers that cannot start or start over and over."""
    for container in items(status.get("containerStatuses")):
        waiting = fields(container, "state", "waiting")
        reason = text(waiting.get("reason"))
        if reason.startswith("Err") or reason.endswith(("Error", "BackOff")):
            yield text(waiting.get("message")) or reason


def _running_forever(live: Fields, message: str) -> Health:
    ready = condition(live, "Ready")
    if ready is not None and ready.true:
        return healthy(message)
    for container in items(fields(live, "status").get("containerStatuses")):
        if fields(container, "lastState", "terminated"):
            return degraded(message)
    return progressing(message)


def _first_failure(status: Fields) -> str:
    """Why the first container that failed did so, init containers before the others."""
    for group in ("initContainerStatuses", "containerStatuses"):
        for container in items(status.get(group)):
            ended = fields(container, "state", "terminated")
            if words := text(ended.get("message")):
                return words
            if ended.get("reason") == "OOMKilled":
                return "OOMKilled"
            if code := count(ended.get("exitCode")):
                return f'container "{text(container.get("name"))}" failed with exit code {code}'
    return ""
