"""Health of volumes: PersistentVolumeClaim and PersistentVolume."""

from driftline.health.shape import Fields, degraded, fields, healthy, progressing, text, unknown
from driftline.model.health import Health


def claim(live: Fields) -> Health:
    """A claim is well once bound."""
    match fields(live, "status").get("phase"):
        case "Bound":
            return healthy()
        case "Pending":
            return progressing("Waiting for a volume to be bound")
        case "Lost":
            return degraded("The bound volume is lost")
    return unknown()


def volume(live: Fields) -> Health:
    """A volume is well whether or not a claim holds it; Failed means that it could not be reclaimed."""
    status = fields(live, "status")
    match status.get("phase"):
        case "Available" | "Bound" | "Released":
            return healthy()
        case "Failed":
            return degraded(text(status.get("message")) or text(status.get("reason")))
    return progressing("Waiting for the volume to become available")
