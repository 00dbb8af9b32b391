"""Applications in Argo CD's JSON (OBJ-10 to OBJ-13): metadata, spec, status, operation. Pure, from rows."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from driftline.adapters.store.applications import ApplicationRow
from driftline.adapters.store.histories import HistoryRow
from driftline.adapters.store.syncs import SyncBrief, SyncRow
from driftline.flow.deletehooks import deletion_hooks
from driftline.flow.deletion import Deletion
from driftline.flow.inspect import Node
from driftline.model.health import HealthStatus
from driftline.model.objects import Key, version_of
from driftline.model.sync import OperationPhase
from service.api import logins
from service.api.times import exact, stamp

NAMESPACE = "argocd"
"""The namespace of applications that declare none: where clients of Argo CD expect them."""

NAMES = uuid.UUID("5b7c3f5e-6f0b-5a53-9b1c-2f1d1f0c9d11")

AUTOMATION = "automated sync policy"
"""Whom flow names as the initiator of automated syncs."""

PHASES = {OperationPhase.HELD: "Running", OperationPhase.SUPERSEDED: "Failed"}
"""Argo CD's word for phases that it does not know; ours stands in `status.driftline`."""

FINALIZERS = {
    "PreDelete": "pre-delete-finalizer.argocd.argoproj.io",
    "PostDelete": "post-delete-finalizer.argocd.argoproj.io",
}


@dataclass(frozen=True)
class Known:
    """What else is known of an application; lists leave most of it out."""

    sync: SyncRow | None = None
    """The open sync, else the last one."""
    brief: SyncBrief | None = None
    """The same for lists, without what it planned and did."""
    history: Sequence[HistoryRow] = ()
    nodes: Sequence[Node] | None = None


def application(row: ApplicationRow, installation: str, known: Known = Known()) -> dict[str, Any]:
    """One application. `metadata.resourceVersion` changes with every change of the row."""
    document = row.document
    given = document.get("metadata") or {}
    metadata = {
        **{name: given[name] for name in ("labels", "annotations") if given.get(name)},
        **({"finalizers": finalizers} if (finalizers := _finalizers(given, row)) else {}),
        "name": row.name,
        "namespace": given.get("namespace") or NAMESPACE,
        "uid": str(uuid.uuid5(NAMES, f"{installation}/{row.id}")),
        "creationTimestamp": stamp(row.created_at),
        "generation": row.generation,
        "resourceVersion": str(int(row.updated_at.timestamp() * 1000)),
    }
    if row.deleting:
        metadata["deletionTimestamp"] = stamp(Deletion.of(row).at)
    found = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": metadata,
        "spec": document.get("spec") or {},
        "status": _status(row, known),
    }
    last = known.sync or known.brief
    if last is not None and last.stage == "requested" and last.finished_at is None:
        found["operation"] = _operation(last)
    shown: dict[str, Any] = logins.hidden(found)
    return shown


def _finalizers(given: Mapping[str, Any], row: ApplicationRow) -> list[str]:
    """Those of the declaration, and those by which Argo CD says that a deletion runs hooks (HOOK-06)."""
    hooked = [f"{FINALIZERS[kind]}{part}" for kind in deletion_hooks(row.summary) for part in ("", "/cleanup")]
    return list(dict.fromkeys([*(given.get("finalizers") or ()), *hooked]))


def _status(row: ApplicationRow, known: Known) -> dict[str, Any]:
    spec = row.document.get("spec") or {}
    health: dict[str, Any] = {"status": str(row.health_status)}
    if row.health_message:
        health["message"] = row.health_message
    if row.health_changed_at:
        health["lastTransitionTime"] = stamp(row.health_changed_at)
    summary = row.summary or {}
    status: dict[str, Any] = {
        "sync": {"status": str(row.sync_status), **_revisions(row.revisions, spec), "comparedTo": _compared_to(spec)},
        "health": health,
        "summary": {"images": summary.get("images", []), "isAppOfApps": bool(summary.get("isAppOfApps"))},
        "conditions": list(row.conditions or ()),
        "resourceHealthSource": "appTree",
        "controllerNamespace": NAMESPACE,
        "driftline": _ours(row, known.sync or known.brief),
    }
    if row.checked_at:
        status["reconciledAt"] = stamp(row.checked_at)
    if tool := source_type(summary):
        status["sourceType"] = tool
    if known.nodes is not None:
        status["resources"] = [resource(each) for each in known.nodes]
    if known.history:
        status["history"] = [history(each) for each in reversed(known.history)]
    if (last := known.sync or known.brief) is not None:
        status["operationState"] = operation_state(last, spec)
    return status


def source_type(summary: Mapping[str, Any] | None) -> str:
    """Argo CD's word for the tool of the last render: `Directory`, `Helm`, `Kustomize`; empty before the first."""
    return str((summary or {}).get("tool", "")).partition("/")[0].capitalize()


def _revisions(revisions: Sequence[str] | None, spec: Mapping[str, Any]) -> dict[str, Any]:
    """`revision` for one source, `revisions` where the declaration has `sources`."""
    found = list(revisions or ())
    if spec.get("sources"):
        return {"revisions": found}
    return {"revision": found[0] if found else ""}


def _compared_to(spec: Mapping[str, Any]) -> dict[str, Any]:
    names = ("source", "sources", "destination", "ignoreDifferences")
    return {name: spec[name] for name in names if spec.get(name)}


def _ours(row: ApplicationRow, sync: SyncRow | SyncBrief | None) -> dict[str, Any]:
    """What Argo CD has no field for."""
    summary = row.summary or {}
    found: dict[str, Any] = {
        "objects": summary.get("objects", 0),
        "outOfSync": summary.get("outOfSync", 0),
        "warnings": row.warnings or [],
        "deleting": row.deleting,
        "awaitsConfirmation": confirmations(row, sync),
        "paused": row.paused,
        "pinned": {name: row.pin.get(name) for name in ("revision", "by", "why", "at", "until")} if row.pin else None,
        "verdictUntil": stamp(row.verdict_until),
        "generation": row.generation,
    }
    if sync is not None:
        found["sync"] = {"id": sync.id, "phase": str(sync.phase), "stage": sync.stage, "kind": sync.kind}
        found["sync"]["plan"] = sync.plan_digest
    if isinstance(sync, SyncRow):
        found["sync"]["held"] = [each["key"] for each in (sync.plan_view or {}).get("held", ())]
        found["sync"]["supersededBy"] = sync.superseded_by
    return found


def confirmations(row: ApplicationRow, sync: SyncRow | SyncBrief | None) -> list[str]:
    """Key ids of the objects whose deletion waits for a person's confirmation now."""
    if row.deleting:
        return [key.id for key in Deletion.of(row).waits]
    return _awaited(sync) if sync is not None and sync.phase is OperationPhase.HELD else []


def _awaited(sync: SyncRow | SyncBrief) -> list[str]:
    held = (sync.plan_view or {}).get("held", ()) if isinstance(sync, SyncRow) else ()
    return [each["key"] for each in held if each.get("confirm")]


def resource(node: Node) -> dict[str, Any]:
    """One managed object in `status.resources`."""
    return {
        **ref(node.key, node.api_version),
        "status": node.sync_status,
        "health": health_of(node),
        "syncWave": node.wave,
        "requiresPruning": node.prune,
        "requiresDeletionConfirmation": node.confirm,
        "driftedFields": node.drifted_fields,
        **({"message": node.reason} if node.reason else {}),
        **({"cluster": node.cluster} if node.cluster else {}),
    }


def ref(key: Key, api_version: str = "") -> dict[str, Any]:
    """A key in the fields that Argo CD spreads it over."""
    found = {"group": key.group, "kind": key.kind, "namespace": key.namespace, "name": key.name}
    if api_version:
        found["version"] = version_of(api_version)
    return found


def health_of(node: Node) -> dict[str, Any]:
    """The health of one node."""
    found = {"status": node.health_status or str(HealthStatus.UNKNOWN)}
    if node.health_message:
        found["message"] = node.health_message
    return found


def history(row: HistoryRow) -> dict[str, Any]:
    """One deployment. Its `id` is what a rollback names."""
    revisions = row.revisions or []
    sources = row.sources or []
    found: dict[str, Any] = {
        "id": row.number,
        "deployedAt": exact(row.deployed_at),
        "deployStartedAt": exact(row.started_at),
        "initiatedBy": _initiator(row.initiated_by, row.initiated_by in ("", AUTOMATION)),
        "revision": revisions[0] if revisions else "",
        "rollbackPossible": row.render_id is not None,
    }
    if len(revisions) > 1:
        found["revisions"] = revisions
        found["sources"] = sources
    elif sources:
        found["source"] = sources[0] if isinstance(sources, list) else sources
    return found


def operation_state(sync: SyncRow | SyncBrief, spec: Mapping[str, Any]) -> dict[str, Any]:
    """An operation, and what came of each object where that is known."""
    results = (sync.results or {}) if isinstance(sync, SyncRow) else {}
    found: dict[str, Any] = {
        "operation": _operation(sync),
        "phase": PHASES.get(sync.phase, str(sync.phase)),
        "message": message(sync),
        "startedAt": exact(sync.started_at),
        "retryCount": sync.retry_count,
        "syncResult": {
            **_revisions(sync.revisions, spec),
            **{name: spec[name] for name in ("source", "sources") if spec.get(name)},
            "resources": [_result(each) for each in results.get("objects", ())]
            + [_hook(each) for each in results.get("hooks", ())],
        },
    }
    if sync.finished_at:
        found["finishedAt"] = exact(sync.finished_at)
    return found


def message(sync: SyncRow | SyncBrief) -> str:
    """What an operation says of itself."""
    if sync.phase is OperationPhase.SUPERSEDED and not sync.message:
        return "superseded by a newer commit"
    if sync.phase is OperationPhase.HELD and _awaited(sync):
        return sync.message
    if sync.phase is OperationPhase.HELD:
        return f"waits for approval: {sync.message}" if sync.message else "waits for approval"
    return sync.message


def _operation(sync: SyncRow | SyncBrief) -> dict[str, Any]:
    request: Mapping[str, Any] = (sync.request or {}) if isinstance(sync, SyncRow) else {}
    wanted: dict[str, Any] = {"revision": next(iter(request.get("revisions") or sync.revisions or ()), "")}
    if isinstance(sync, SyncRow):
        wanted |= {
            "prune": bool(request.get("prune")),
            "dryRun": bool(request.get("dry_run")),
            "syncStrategy": {"hook": {"force": bool(request.get("force"))}},
        }
    if request.get("only"):
        keys = [Key.parse(each) for each in request["only"]]
        wanted["resources"] = [ref(key) for key in keys]
    if request.get("sync_options"):
        wanted["syncOptions"] = request["sync_options"]
    return {"sync": wanted, "initiatedBy": _initiator(sync.initiated_by, sync.automated)}


def _initiator(name: str, automated: bool) -> dict[str, Any]:
    return {"automated": True} if automated else {"username": name}


def _result(each: Mapping[str, Any]) -> dict[str, Any]:
    found = {**ref(Key.parse(each["key"])), "status": each["status"], "message": each["message"], "syncPhase": "Sync"}
    if each.get("action"):
        found["action"] = each["action"]
    return found


def _hook(each: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **ref(Key.parse(each["key"])),
        "message": each["message"],
        "hookType": each["phase"],
        "hookPhase": each["state"],
        "syncPhase": each["phase"],
    }
