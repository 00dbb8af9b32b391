"""Health of what runs to an end: Job and CronJob."""

from driftline.health.shape import (
    Fields,
    condition,
    conditions,
    degraded,
    fields,
    healthy,
    progressing,
    suspended,
    text,
)
from driftline.model.health import Health


def job(live: Fields) -> Health:
    """A Job is well once complete, not when it has started: waves and hooks wait for its end."""
    found = {entry.type: entry for entry in conditions(live) if entry.true}
    if "Failed" in found:
        return degraded(found["Failed"].message or found["Failed"].reason)
    if "Complete" in found:
        return healthy(found["Complete"].message)
    if "Suspended" in found:
        return suspended(found["Suspended"].message)
    last = condition(live, "Complete")
    return progressing(last.message if last else "")


def cron_job(live: Fields) -> Health:
    """A CronJob is Degraded when its last run is over and did not succeed; before the first run it is well."""
    if fields(live, "spec").get("suspend") is True:
        return suspended("CronJob is Suspended")
    if not isinstance(fields(live).get("status"), dict):
        return progressing("Waiting for CronJob")
    status = fields(live, "status")
    # RFC 3339 times in UTC, as the API server writes them, sort as text.
    scheduled, succeeded = text(status.get("lastScheduleTime")), text(status.get("lastSuccessfulTime"))
    running = bool(status.get("active"))
    if not scheduled:
        return healthy("CronJob has not been scheduled yet")
    if running:
        return healthy("CronJob is running; its last run may not have been successful")
    if not succeeded:
        return healthy("CronJob has never completed successfully; its first run may have failed")
    if succeeded < scheduled:
        return degraded("CronJob has not completed its last execution successfully")
    return healthy("CronJob has completed its last execution successfully")
