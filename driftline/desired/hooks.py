"""Which objects are hooks, and Helm's hooks in Argo CD's words (HOOK-01, HOOK-05, HOOK-07). Called by `finalise`."""

from collections.abc import Mapping
from enum import StrEnum

from driftline.model.objects import Object, annotations_of

HOOK = "argocd.argoproj.io/hook"
HOOK_DELETE_POLICY = "argocd.argoproj.io/hook-delete-policy"
SYNC_WAVE = "argocd.argoproj.io/sync-wave"
HELM_HOOK = "helm.sh/hook"
HELM_DELETE_POLICY = "helm.sh/hook-delete-policy"
HELM_WEIGHT = "helm.sh/hook-weight"

PHASES = frozenset({"PreSync", "Sync", "PostSync", "SyncFail", "PreDelete", "PostDelete"})
SKIP = "Skip"

_FROM_HELM: Mapping[str, str] = {
    "pre-install": "PreSync",
    "pre-upgrade": "PreSync",
    "post-install": "PostSync",
    "post-upgrade": "PostSync",
    "pre-delete": "PreDelete",
    "post-delete": "PostDelete",
}
_POLICY_FROM_HELM: Mapping[str, str] = {
    "before-hook-creation": "BeforeHookCreation",
    "hook-succeeded": "HookSucceeded",
    "hook-failed": "HookFailed",
}
_NOT_A_HOOK = "crd-install"
"""Helm 2 marked CRDs with it: they are plain objects."""


class Role(StrEnum):
    """What an object is in a sync."""

    OBJECT = "object"
    HOOK = "hook"
    SKIPPED = "skipped"
    """Never applied: a hook of type Skip, a Helm test, a hook of no type that we know."""


def role(body: Object) -> Role:
    """Whether an object is applied and kept, run as a hook, or left out."""
    annotations = annotations_of(body)
    if HOOK in annotations:
        types = _words(annotations[HOOK])
        return Role.HOOK if PHASES.intersection(types) else Role.SKIPPED
    if annotations.get(HELM_HOOK, _NOT_A_HOOK) == _NOT_A_HOOK:
        return Role.OBJECT
    return Role.HOOK if _phases(annotations[HELM_HOOK]) else Role.SKIPPED


def with_argo_hook(body: Object) -> Object:
    """A hook that says in Argo CD's annotations what it said in Helm's; those that it has already stay."""
    annotations = annotations_of(body)
    if HOOK in annotations or HELM_HOOK not in annotations:
        return body
    added = {HOOK: ",".join(_phases(annotations[HELM_HOOK]))}
    policies = [_POLICY_FROM_HELM.get(word) for word in _words(annotations.get(HELM_DELETE_POLICY, ""))]
    if known := [policy for policy in policies if policy]:
        added[HOOK_DELETE_POLICY] = ",".join(known)
    if HELM_WEIGHT in annotations:
        added[SYNC_WAVE] = str(annotations[HELM_WEIGHT])
    metadata = {**body["metadata"], "annotations": {**added, **annotations}}
    return {**body, "metadata": metadata}


def _phases(helm: str) -> list[str]:
    """Argo CD's phases for the value of `helm.sh/hook`; empty if it has none of ours."""
    return list(dict.fromkeys(_FROM_HELM[word] for word in _words(helm) if word in _FROM_HELM))


def _words(text: object) -> list[str]:
    return [word.strip() for word in str(text).split(",") if word.strip()]
