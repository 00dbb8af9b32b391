"""Why a workload does not get well, in one sentence for people, from its Pods and the events about them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from driftline.health.shape import Fields, condition, count, fields, items, name_of, text

_LONGEST = 300
"""Characters of a message of the cluster that are shown; some quote a whole Pod."""

_PULL = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"})
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})


@dataclass(frozen=True)
class _Cause:
    """One Pod's trouble. `what` is equal for Pods with the same trouble; `detail` is the cluster's own words."""

    what: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.detail}" if self.detail else self.what


def pod_problem(pods: Iterable[Fields], events: Iterable[Fields] = ()) -> str:
    """The cause that keeps most of these Pods from running, or empty where none can be seen.

    `pods` are those of one workload, `events` the Events of its namespace (core/v1 or events.k8s.io/v1); both as raw
    objects of any shape. When no Pod shows a trouble, a warning about the workload itself is the cause: a quota or an
    admission policy that refuses the Pods leaves no Pod to look at.
    """
    present = [pod for pod in pods if not fields(pod, "metadata").get("deletionTimestamp")]
    warnings = sorted(
        (event for event in events if isinstance(event, dict) and event.get("type") == "Warning"), key=_when
    )
    troubled = [(name_of(pod), cause) for pod in present if (cause := _cause(pod, warnings))]
    if not troubled:
        return _warning(warnings, {name_of(pod) for pod in present})
    seen = [cause.what for _, cause in troubled]
    name, cause = max(troubled, key=lambda entry: seen.count(entry[1].what))
    others = seen.count(cause.what) - 1
    also = f" (and {others} more pods)" if others > 1 else " (and 1 more pod)" if others else ""
    return f"Pod {name}{also}: {cause}"


def _cause(pod: Fields, warnings: Sequence[Fields]) -> _Cause | None:
    status = fields(pod, "status")
    for found in _containers(status):
        return found
    if status.get("phase") == "Failed":
        return _Cause(text(status.get("reason")) or "failed", _short(status.get("message")))
    scheduled = condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.false:
        return _Cause("cannot be scheduled", _short(scheduled.message))
    ready = condition(pod, "Ready")
    if status.get("phase") == "Succeeded" or (ready is not None and ready.true):
        return None
    about = [event for event in warnings if _subject(event) == ("Pod", name_of(pod))]
    return _Cause(text(about[-1].get("reason")), _words(about[-1])) if about else None


def _containers(status: Fields) -> Iterator[_Cause]:
    """The troubles of a Pod's containers, init containers first."""
    for group in ("initContainerStatuses", "containerStatuses"):
        for container in items(status.get(group)):
            cause = _container(container)
            if cause is not None:
                yield cause


def _container(container: Fields) -> _Cause | None:
    name = text(container.get("name"))
    waiting = fields(container, "state", "waiting")
    reason, message = text(waiting.get("reason")), _short(waiting.get("message"))
    if reason in _PULL:
        return _Cause(f"{reason} of container {name}, image {text(container.get('image'))}", message)
    ended = fields(container, "state", "terminated") or fields(container, "lastState", "terminated")
    if reason == "CrashLoopBackOff":
        return _Cause(f"{_end(name, ended)}, CrashLoopBackOff", _short(ended.get("message")))
    if reason not in _STARTING:
        return _Cause(f"{reason} of container {name}", message)
    if container.get("ready") is True or not _failed(ended):
        return None
    return _Cause(_end(name, ended), _short(ended.get("message")))


def _failed(ended: Fields) -> bool:
    return bool(count(ended.get("exitCode"))) or ended.get("reason") == "OOMKilled"


def _end(name: str, ended: Fields) -> str:
    if ended.get("reason") == "OOMKilled":
        return f"container {name} was killed for using more memory than its limit (OOMKilled)"
    return f"container {name} ended with exit code {count(ended.get('exitCode'))}"


def _warning(warnings: Sequence[Fields], pods: set[str]) -> str:
    """The newest warning about something that is no Pod (a ReplicaSet that may not create one), or empty."""
    for event in reversed(warnings):
        kind, name = _subject(event)
        if kind and (kind != "Pod" or name in pods):
            return f"{kind} {name}: {text(event.get('reason'))}: {_words(event)}"
    return ""


def _subject(event: Fields) -> tuple[str, str]:
    about = fields(event, "involvedObject") or fields(event, "regarding")
    return text(about.get("kind")), text(about.get("name"))


def _words(event: Fields) -> str:
    return _short(event.get("message") or event.get("note"))


def _when(event: Fields) -> str:
    """The time of an event as text that sorts; RFC 3339 in UTC, as the API server writes it."""
    series = fields(event, "series").get("lastObservedTime")
    created = fields(event, "metadata").get("creationTimestamp")
    for moment in (series, event.get("lastTimestamp"), event.get("eventTime"), created):
        if text(moment):
            return text(moment)
    return ""


def _short(message: object) -> str:
    words = " ".join(text(message).split())
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"
