"""Health of what other objects stand on: Namespace, CustomResourceDefinition, APIService."""

from driftline.health.shape import (
    Fields,
    condition,
    conditions,
    degraded,
    fields,
    healthy,
    progressing,
)
from driftline.model.health import Health


def namespace(live: Fields) -> Health:
    """Active or going. Argo CD has no check here; a wave that waits for its namespaces needs one."""
    if fields(live, "status").get("phase") != "Terminating":
        return healthy()
    blocked = [
        found.message
        for found in conditions(live)
        if found.true and found.type in ("NamespaceContentRemaining", "NamespaceFinalizersRemaining")
    ]
    return progressing(" ".join(["Namespace is terminating.", *(words for words in blocked if words)]))


def definition(live: Fields) -> Health:
    """A CRD is well once its kind is served.

    Not yet established is Progressing (Argo CD: Degraded), because it always is for the first moments and a
    Degraded object would fail the wave that waits for it. Names that are not accepted never get well by themselves.
    """
    names = condition(live, "NamesAccepted")
    if names is not None and names.false:
        return degraded(f"CRD names have not been accepted: {names.message}")
    established = condition(live, "Established")
    if established is None or not established.true:
        return progressing(f"CRD is not established: {established.message if established else 'no condition yet'}")
    structure = condition(live, "NonStructuralSchema")
    if structure is not None and structure.true:
        return degraded(f"Schema violations found: {structure.message}")
    return healthy("CRD is healthy")


def api_service(live: Fields) -> Health:
    """Available, or Progressing with the aggregator's reason."""
    available = condition(live, "Available")
    if available is None:
        return progressing("Waiting to be processed")
    words = f"{available.reason}: {available.message}"
    return healthy(words) if available.true else progressing(words)
