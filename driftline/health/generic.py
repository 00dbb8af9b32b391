"""Health of kinds without a rule of their own, from the conventions of status that kstatus describes."""

from driftline.health.shape import Fields, condition, degraded, fields, healthy, number, progressing
from driftline.model.health import Health


def by_convention(live: Fields) -> Health | None:
    """What `observedGeneration`, `Reconciling`, `Stalled` and `Ready` say; None when the object has none of them.

    Argo CD has no health for such a kind and would not wait for it; kstatus calls a silent object current. A custom
    resource whose controller follows the conventions is waited for here as in Flux, and a silent one is not judged.
    `Ready: False` is Progressing, not Degraded: for most controllers it means "not yet", and only `Stalled` says that
    they have given up.
    """
    status = fields(live, "status")
    if not status:
        return None
    seen, current = number(status.get("observedGeneration")), number(fields(live, "metadata").get("generation"))
    if seen is not None and current is not None and seen != current:
        return progressing(f"generation is {current}, but the controller has observed {seen}")
    reconciling, stalled, ready = (condition(live, kind) for kind in ("Reconciling", "Stalled", "Ready"))
    if reconciling is not None and reconciling.true:
        return progressing(reconciling.words)
    if stalled is not None and stalled.true:
        return degraded(stalled.words)
    if ready is not None:
        return healthy(ready.message) if ready.true else progressing(ready.words)
    spoke = seen is not None or reconciling is not None or stalled is not None
    return healthy() if spoke else None
