"""Hooks: which objects are hooks, when each runs, its name, how it ended, when it goes (HOOK-01..05, HOOK-07)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from driftline.model.health import Health, HealthStatus
from driftline.model.objects import Key, Object, annotations_of, key_of
from driftline.model.plan import Phase
from driftline.model.revisions import short
from driftline.sync.given import Wanted
from driftline.sync.order import wave_of

HOOK = "argocd.argoproj.io/hook"
HOOK_POLICY = "argocd.argoproj.io/hook-delete-policy"
HELM_HOOK = "helm.sh/hook"
HELM_POLICY = "helm.sh/hook-delete-policy"
HOOK_FINALIZER = "argocd.argoproj.io/hook-finalizer"
SYNC_ID = "driftline.io/sync"
"""Annotation of every hook that was made: `<sync id>/<attempt>`, so that a restarted worker finds its own."""

_LONGEST_NAME = 63


class HookType(StrEnum):
    """Argo CD's hook types that run at some time."""

    PRE_SYNC = "PreSync"
    SYNC = "Sync"
    POST_SYNC = "PostSync"
    SYNC_FAIL = "SyncFail"
    PRE_DELETE = "PreDelete"
    POST_DELETE = "PostDelete"


class DeletePolicy(StrEnum):
    HOOK_SUCCEEDED = "HookSucceeded"
    HOOK_FAILED = "HookFailed"
    BEFORE_HOOK_CREATION = "BeforeHookCreation"


_HELM_TYPES: Mapping[str, HookType] = {
    "pre-install": HookType.PRE_SYNC,
    "pre-upgrade": HookType.PRE_SYNC,
    "post-install": HookType.POST_SYNC,
    "post-upgrade": HookType.POST_SYNC,
    "pre-delete": HookType.PRE_DELETE,
    "post-delete": HookType.POST_DELETE,
}
"""Test and rollback hooks have no counterpart and never run."""

_HELM_POLICIES: Mapping[str, DeletePolicy] = {
    "before-hook-creation": DeletePolicy.BEFORE_HOOK_CREATION,
    "hook-succeeded": DeletePolicy.HOOK_SUCCEEDED,
    "hook-failed": DeletePolicy.HOOK_FAILED,
}

_IN_SYNC: Mapping[HookType, Phase] = {
    HookType.PRE_SYNC: Phase.PRE_SYNC,
    HookType.SYNC: Phase.SYNC,
    HookType.POST_SYNC: Phase.POST_SYNC,
    HookType.SYNC_FAIL: Phase.SYNC_FAIL,
}
_IN_DELETION: Mapping[HookType, Phase] = {
    HookType.PRE_DELETE: Phase.PRE_SYNC,
    HookType.POST_DELETE: Phase.POST_SYNC,
}
"""A deletion is a sync to nothing, so its hooks stand before and after it as PreSync and PostSync do."""


def _words(annotations: Mapping[str, str], name: str) -> list[str]:
    return [word.strip() for word in str(annotations.get(name) or "").split(",") if word.strip()]


def is_skipped(body: Object) -> bool:
    """Whether the object is marked never to be applied."""
    return _words(annotations_of(body), HOOK) == ["Skip"]


def is_hook(body: Object) -> bool:
    """Whether the object is a hook, also one of a type that never runs. Argo CD's annotation silences Helm's."""
    annotations = annotations_of(body)
    if HOOK in annotations:
        return not is_skipped(body)
    # Helm 2's way to bring a CRD: an ordinary object since Helm 3.
    return HELM_HOOK in annotations and _words(annotations, HELM_HOOK) != ["crd-install"]


def hook_types(body: Object) -> tuple[HookType, ...]:
    """When the hook runs, each once, in order; words that are not known are left out."""
    annotations = annotations_of(body)
    if HOOK in annotations:
        words = _words(annotations, HOOK)
        return tuple(kind for kind in HookType if kind.value in words)
    mapped = {_HELM_TYPES[word] for word in _words(annotations, HELM_HOOK) if word in _HELM_TYPES}
    return tuple(kind for kind in HookType if kind in mapped)


def delete_policies(body: Object) -> frozenset[DeletePolicy]:
    """When the hook is deleted: as it says, BeforeHookCreation where it says nothing that is known."""
    return _given_policies(body) or frozenset({DeletePolicy.BEFORE_HOOK_CREATION})


def outlives(body: Object) -> bool:
    """Whether a hook of a deletion stays once the deletion has succeeded: only if its policy names other moments."""
    given = _given_policies(body)
    return bool(given) and DeletePolicy.HOOK_SUCCEEDED not in given


def _given_policies(body: Object) -> frozenset[DeletePolicy]:
    annotations = annotations_of(body)
    known = {policy.value: policy for policy in DeletePolicy}
    found = {known[word] for word in _words(annotations, HOOK_POLICY) if word in known}
    if HOOK not in annotations and HOOK_POLICY not in annotations:
        found |= {_HELM_POLICIES[word] for word in _words(annotations, HELM_POLICY) if word in _HELM_POLICIES}
    return frozenset(found)


def split(objects: Iterable[Wanted]) -> tuple[tuple[Wanted, ...], tuple[Wanted, ...], tuple[Wanted, ...]]:
    """Separate a render into what is managed, hooks, and what is skipped."""
    managed: list[Wanted] = []
    hooks: list[Wanted] = []
    skipped: list[Wanted] = []
    for wanted in objects:
        kind = skipped if is_skipped(wanted.body) else hooks if is_hook(wanted.body) else managed
        kind.append(wanted)
    return tuple(managed), tuple(hooks), tuple(skipped)


@dataclass(frozen=True)
class Hook:
    """One run of a hook: an object in a phase, by its final name."""

    phase: Phase
    key: Key
    wave: int
    body: Object = field(repr=False)
    digest: str
    policies: frozenset[DeletePolicy]


def expand(
    hooks: Iterable[Wanted], revision: str, started_at: datetime | None, deleting: bool = False
) -> tuple[Hook, ...]:
    """The hooks that run, one for each phase that an object names, in order.

    Equal arguments give equal names, so that a restarted worker finds what it made. `deleting` picks the hooks of a
    deletion instead of those of a sync.
    """
    phases = _IN_DELETION if deleting else _IN_SYNC
    found = [
        _hook(wanted, kind, phases[kind], revision, started_at)
        for wanted in hooks
        for kind in hook_types(wanted.body)
        if kind in phases
    ]
    order = list(Phase)
    unique = {(hook.phase, hook.key): hook for hook in found}
    return tuple(sorted(unique.values(), key=lambda hook: (order.index(hook.phase), hook.wave, hook.key)))


def _hook(wanted: Wanted, kind: HookType, phase: Phase, revision: str, started_at: datetime | None) -> Hook:
    body = named(wanted.body, kind, revision, started_at)
    wave = wave_of(annotations_of(body), hook=True)
    return Hook(phase, key_of(body), wave, body, wanted.digest, delete_policies(body))


def named(body: Object, kind: HookType, revision: str, started_at: datetime | None) -> Object:
    """The hook under a name that follows from the sync: `<generateName><revision>-<phase>-<start>`.

    Apply refuses generateName, and a random name would make a second Job after a crash. The prefix is cut so that the
    whole name fits a label value, as a Job's name has to.
    """
    metadata = dict(body.get("metadata") or {})
    prefix = str(metadata.pop("generateName", "") or "")
    if metadata.get("name") or not prefix:
        return body
    start = int(started_at.timestamp()) if started_at else 0
    mark = re.sub(r"[^a-z0-9]", "-", short(revision).lower())[:7].strip("-")
    ending = f"{mark}-{kind.value.lower()}-{start}"
    metadata["name"] = prefix[: _LONGEST_NAME - len(ending)] + ending
    return {**body, "metadata": metadata}


class HookState(StrEnum):
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True)
class HookSeen:
    """A hook that was made: where it stands and why. `since` is when it was made, aware UTC."""

    state: HookState
    message: str = ""
    since: datetime | None = None


def outcome(health: Health | None, recorded: HookSeen | None = None) -> HookSeen:
    """Where a hook that exists stands. An end that was recorded stays, whatever became of the object since."""
    since = recorded.since if recorded else None
    if recorded is not None and recorded.state is not HookState.RUNNING:
        return recorded
    if health is None or health.status is HealthStatus.HEALTHY:
        return HookSeen(HookState.SUCCEEDED, health.message if health else "", since)
    if health.status in (HealthStatus.DEGRADED, HealthStatus.UNKNOWN):
        return HookSeen(HookState.FAILED, health.message, since)
    return HookSeen(HookState.RUNNING, health.message, since)


def outcome_of_vanished(key: Key, recorded: HookSeen | None) -> HookSeen:
    """Where a hook stands whose object is gone: as recorded, else failed, because waiting would never end."""
    if recorded is not None and recorded.state is not HookState.RUNNING:
        return recorded
    why = (
        f"{key}: the hook vanished before its outcome was seen; "
        "remove its ttlSecondsAfterFinished, or keep others from deleting it"
    )
    return HookSeen(HookState.FAILED, why, recorded.since if recorded else None)


def to_delete(hooks: Sequence[Hook], made: Mapping[tuple[Phase, Key], HookSeen], succeeded: bool) -> tuple[Hook, ...]:
    """The hooks that go now that the operation has ended, by the outcome of the whole operation (HOOK-04)."""
    policy = DeletePolicy.HOOK_SUCCEEDED if succeeded else DeletePolicy.HOOK_FAILED
    return tuple(hook for hook in hooks if policy in hook.policies and (hook.phase, hook.key) in made)


def due(hooks: Sequence[Hook], phase: Phase, made: Mapping[tuple[Phase, Key], HookSeen]) -> tuple[Hook, ...]:
    """The hooks of the first wave of a phase that have not all succeeded; empty when the phase is over."""
    mine = [hook for hook in hooks if hook.phase is phase]
    for wave in sorted({hook.wave for hook in mine}):
        together = tuple(hook for hook in mine if hook.wave == wave)
        ended = [made[hook.phase, hook.key] for hook in together if (hook.phase, hook.key) in made]
        if len(ended) < len(together) or any(seen.state is not HookState.SUCCEEDED for seen in ended):
            return together
    return ()
