"""Health of Argo's own kinds: child applications carry theirs, workflows have a phase."""

from driftline.health.shape import Fields, degraded, fields, healthy, progressing, text, unknown
from driftline.model.health import Health, HealthStatus


def application(live: Fields) -> Health | None:
    """What a child application last said of itself; None before it has said anything Argo CD knows."""
    said = fields(live, "status", "health")
    try:
        return Health(HealthStatus(text(said.get("status"))), text(said.get("message")))
    except ValueError:
        return None


def workflow(live: Fields) -> Health:
    """An Argo Workflow by its phase."""
    status = fields(live, "status")
    message = text(status.get("message"))
    match text(status.get("phase")):
        case "" | "Pending" | "Running":
            return progressing(message)
        case "Succeeded":
            return healthy(message)
        case "Failed" | "Error":
            return degraded(message)
    return unknown(message)
