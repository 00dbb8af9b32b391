"""What can be said of an object before its fields are looked at. Called by both comparisons."""

from driftline.drift.context import Context
from driftline.model.drift import Verdict, VerdictState
from driftline.model.marks import INSTALLATION_LABEL, TRACKING_ANNOTATION, marked, tracked_by
from driftline.model.objects import Object, annotations_of, key_of, labels_of


def standing(desired: Object, live: Object | None, context: Context) -> Verdict | None:
    """Missing, recreated, deleting or unmarked; None for an object whose fields decide."""
    key = key_of(desired)
    if live is None:
        return Verdict(key, VerdictState.MISSING, reason="not in the cluster")
    metadata = live.get("metadata") or {}
    uid = str(metadata.get("uid", ""))
    if context.owned_uid and uid != context.owned_uid:
        return Verdict(key, VerdictState.RECREATED, reason=f"uid {uid} is not {context.owned_uid}, which we own")
    if metadata.get("deletionTimestamp"):
        waits = ", ".join(metadata.get("finalizers") or ())
        reason = f"being deleted since {metadata['deletionTimestamp']}"
        return Verdict(key, VerdictState.DELETING, reason=f"{reason}, waits for {waits}" if waits else reason)
    reason = _unmarked(desired, live, context)
    return Verdict(key, VerdictState.UNMARKED, reason=reason) if reason else None


def _unmarked(desired: Object, live: Object, context: Context) -> str:
    """How live fails to say that it is ours; empty if it does, or if desired carries no marks (CRDs never do)."""
    if TRACKING_ANNOTATION not in annotations_of(desired):
        return ""
    if marked(live, context.marks):
        return ""
    if INSTALLATION_LABEL not in labels_of(live):
        return f"tracking mark removed: label {INSTALLATION_LABEL}"
    if TRACKING_ANNOTATION not in annotations_of(live):
        return f"tracking mark removed: annotation {TRACKING_ANNOTATION}"
    tracked = tracked_by(live)
    if tracked is not None and tracked.application != context.marks.application:
        return f"tracked by application {tracked.application}"
    return "the tracking marks name another object or installation"
