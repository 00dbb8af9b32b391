"""Is an object well: one rule per kind, and the health of a whole application."""

from driftline.health.application import application_health
from driftline.health.causes import pod_problem
from driftline.health.table import health_of

__all__ = ["application_health", "health_of", "pod_problem"]
