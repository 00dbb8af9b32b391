"""Reads the API server's audit log: who called what, and how it was answered. Called by tests and benches."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_CONTROL_PLANE = (
    "system:apiserver",
    "system:kube-controller-manager",
    "system:kube-scheduler",
    "localcluster:kwok",
)

POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # What the control plane says to itself would fill the disk of a cluster that runs for days.
        {"level": "None", "users": list(_CONTROL_PLANE)},
        {"level": "None", "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"]},
        {"level": "None", "nonResourceURLs": ["/readyz*", "/livez*", "/healthz*"]},
        {"level": "Metadata"},
    ],
}


@dataclass(frozen=True)
class AuditEntry:
    """One call. `verb` is the API's word (get, list, watch, create, update, patch, delete, deletecollection).

    `at` is when it arrived, `answered_at` when its answer was complete (of a watch: begun, until it ends).
    """

    at: datetime
    user: str
    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    subresource: str
    code: int
    dry_run: bool
    uri: str
    answered_at: datetime


def read_audit(log: Path, offset: int = 0) -> list[AuditEntry]:
    """The calls logged after `offset` bytes, in order; a watch that has begun and ended counts once."""
    if not log.exists():
        return []
    entries: dict[str, AuditEntry] = {}
    with log.open("rb") as lines:
        lines.seek(offset)
        for line in lines:
            if line.endswith(b"\n"):
                event = json.loads(line)
                entries[event["auditID"]] = _entry(event)
    return list(entries.values())


def _entry(event: dict[str, Any]) -> AuditEntry:
    target = event.get("objectRef") or {}
    return AuditEntry(
        at=datetime.fromisoformat(event["requestReceivedTimestamp"]),
        user=event["user"].get("username", ""),
        verb=event["verb"],
        group=target.get("apiGroup", ""),
        resource=target.get("resource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        subresource=target.get("subresource", ""),
        code=(event.get("responseStatus") or {}).get("code", 0),
        dry_run="dryRun" in parse_qs(urlsplit(event["requestURI"]).query),
        uri=event["requestURI"],
        answered_at=datetime.fromisoformat(event["stageTimestamp"]),
    )
