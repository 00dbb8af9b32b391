"""An application's status as its row keeps it and clients read it: conditions, summary, what the render read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from driftline.adapters.store.applications import Changes
from driftline.flow import desire
from driftline.flow.children import is_child
from driftline.flow.edges import Edges
from driftline.flow.looking import Look
from driftline.flow.situation import Situation
from driftline.model.health import SyncStatus
from driftline.model.objects import Object
from driftline.sync.hooks import HookType, hook_types


def conditions_json(situation: Situation, pairs: Sequence[tuple[str, str]], now: datetime) -> list[dict[str, str]]:
    """Argo CD's conditions; the time of one whose message has not changed stays."""
    before = {(each["type"], each["message"]): each["lastTransitionTime"] for each in situation.row.conditions or ()}
    return [
        {
            "type": kind,
            "message": message,
            "lastTransitionTime": before.get((kind, message)) or now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        for kind, message in dict.fromkeys(pairs)
    ]


def inputs_json(found: Look) -> dict[str, Any]:
    """What the render read, so that a later commit can be compared with it without rendering.

    `items` has one entry for each source that is rendered, `places` says which source each is of, and `refs` by which
    name the others read a source's files.
    """
    sources = found.situation.app.sources
    return {
        "generation": found.situation.row.generation,
        "items": [each.to_json() for each in found.wish.inputs],
        "places": [place for place, source in enumerate(sources) if desire.has_manifests(source)],
        "refs": [source.ref for source in sources],
    }


def summary_of(edges: Edges, found: Look) -> dict[str, Any]:
    """What lists show: images, how many objects, how many differ, and whose commit it is."""
    images = sorted({image for each in found.wanted.values() for image in _images(each.body)})[:50]
    return {
        "images": images,
        "objects": len(found.wanted),
        "outOfSync": len(found.status.out_of_sync),
        "isAppOfApps": any(is_child(key) for key in found.wanted),
        "commits": _commits(edges, found),
        **({"pruneFormer": True} if found.situation.elsewhere and asked_to_prune_former(found) else {}),
        "deletionHooks": sorted({str(kind) for body in found.wish.desired.hooks for kind in _in_deletion(body)}),
        "tool": found.wish.inputs[0].tool if found.wish.inputs else (found.situation.row.summary or {}).get("tool", ""),
    }


def asked_to_prune_former(found: Look) -> bool:
    """Whether a person has synced with prune since the application was moved."""
    return bool((found.situation.row.summary or {}).get("pruneFormer"))


def _in_deletion(body: Object) -> list[HookType]:
    return [kind for kind in hook_types(body) if kind in (HookType.PRE_DELETE, HookType.POST_DELETE)]


def _commits(edges: Edges, found: Look) -> list[dict[str, str]]:
    """Subject and author of each source's commit, for people; empty texts where the mirror does not have it."""
    situation = found.situation
    known = (situation.row.summary or {}).get("commits", [])
    if known and list(found.wish.revisions) == situation.row.revisions:
        return list(known)
    return [
        edges.commit(access, revision)
        for access, revision in zip(situation.credentials, found.wish.revisions, strict=False)
    ]


def _images(body: Mapping[str, Any]) -> list[str]:
    spec = body.get("spec")
    for step in ("jobTemplate", "spec", "template", "spec"):
        if isinstance(spec, dict) and isinstance(spec.get(step), dict):
            spec = spec[step]
    containers = (spec.get("containers"), spec.get("initContainers")) if isinstance(spec, dict) else ()
    return [
        each["image"]
        for group in containers
        if isinstance(group, list)
        for each in group
        if isinstance(each, dict) and isinstance(each.get("image"), str)
    ]


def aged(situation: Situation, edges: Edges) -> Changes:
    """The status of an application that could not be compared: kept while fresh, then Unknown."""
    checked = situation.row.checked_at
    if checked is not None and edges.now() - checked < edges.settings.verdict_age:
        return {}
    return {"sync_status": SyncStatus.UNKNOWN}
