"""Counters of all processes of this machine, added up from files, and shown on the metrics port.

The process that starts the others calls `prepare`; each process calls `setup` before it counts anything, and again with
its own slot after a fork. Without `setup` it counts in memory, for itself. Values that the database knows (queue age,
drift, health) are not counted here: they are given to `render` when it is asked.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@dataclass
class _Process:
    """Who this process is among those that count."""

    name: str = ""


_process = _Process()


@dataclass(frozen=True)
class Reading:
    """One value read at the time of asking, such as the age of a queue."""

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def prepare(directory: Path) -> None:
    """Empty the directory in which all processes of this machine count. Once, before the first of them starts."""
    directory.mkdir(parents=True, exist_ok=True)
    for file in directory.glob("*.db"):
        file.unlink(missing_ok=True)


def setup(directory: Path, role: str, slot: str = "0") -> None:
    """Count in `directory` as process `slot` of `role` from now on.

    A slot is used by one living process at a time; one that takes it over goes on counting where the last one ended, so
    the number of files stays bounded. After a fork the child calls it with its own slot, before it counts.
    """
    _process.name = f"{role}-{slot}"
    if os.environ.get(_VARIABLE) == str(directory) and _meters.cache_info().currsize:
        return
    directory.mkdir(parents=True, exist_ok=True)
    os.environ[_VARIABLE] = str(directory)
    from prometheus_client import values

    values.ValueClass = values.MultiProcessValue(lambda: _process.name)  # type: ignore[no-untyped-call]
    _meters.cache_clear()


class _Meters:
    """Everything that is counted. Made when first needed, because its files are chosen then."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self.registry = CollectorRegistry()
        names: dict[str, tuple[str, list[str]]] = {
            "deliveries": ("Webhook deliveries by host and outcome", ["provider", "outcome"]),
            "jobs": ("Jobs that ended, by kind and outcome", ["kind", "outcome"]),
            "api_calls": ("Requests to API servers", ["verb"]),
            "drift_found": ("Objects found drifted", ["cause"]),
            "notifications_deliveries": ("Alerts sent or given up", ["trigger", "service", "succeeded"]),
        }
        self.counters = {
            name: Counter(f"driftline_{name}", help, labels, registry=self.registry)
            for name, (help, labels) in names.items()
        }
        self.sync = Histogram(
            "driftline_sync_seconds",
            "From the request of a sync to its end",
            ["phase"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.alert_delay = Histogram(
            "driftline_alert_delay_seconds",
            "From an alert's cause to its delivery",
            ["service"],
            registry=self.registry,
            buckets=_SECONDS,
        )


@cache
def _meters() -> _Meters:
    return _Meters()


def delivered(provider: str, outcome: str) -> None:
    """A webhook was answered. `outcome`: accepted, ignored, duplicate, refused, unavailable."""
    _meters().counters["deliveries"].labels(provider, outcome).inc()


def job_ended(kind: str, outcome: str) -> None:
    """A job ended. `outcome`: done, failed, retried, quarantined, lost."""
    _meters().counters["jobs"].labels(kind, outcome).inc()


def sync_took(span: timedelta, phase: str) -> None:
    """A sync ended in `phase` (Succeeded, Failed, ...), `span` after it was asked for."""
    _meters().sync.labels(phase).observe(span.total_seconds())


def called(verb: str, count: int = 1) -> None:
    """Requests went to an API server: get, list, watch, create, patch, delete, dryrun."""
    _meters().counters["api_calls"].labels(verb).inc(count)


def drift_found(cause: str, count: int = 1) -> None:
    """Objects were found drifted. `cause`: the verdict's state."""
    _meters().counters["drift_found"].labels(cause).inc(count)


def alert_sent(trigger: str, service: str, succeeded: bool, delay: timedelta | None = None) -> None:
    """An alert was delivered, `delay` after its cause, or given up (NOT-11)."""
    _meters().counters["notifications_deliveries"].labels(trigger, service, str(succeeded).lower()).inc()
    if delay is not None and succeeded:
        _meters().alert_delay.labels(service).observe(max(delay.total_seconds(), 0))


def render(readings: Iterable[Reading] = ()) -> tuple[bytes, str]:
    """The text for Prometheus, of all processes together, and its content type."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    registry: CollectorRegistry = _meters().registry
    if os.environ.get(_VARIABLE):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry) + generate_latest(_of(readings)), CONTENT_TYPE_LATEST


def _of(readings: Iterable[Reading]) -> "CollectorRegistry":
    """A registry with these readings, apart from everything that counts into files."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.registry import Collector

    families: dict[str, GaugeMetricFamily] = {}
    for reading in readings:
        names = list(reading.labels)
        family = families.setdefault(reading.name, GaugeMetricFamily(reading.name, reading.help, labels=names))
        family.add_metric(list(reading.labels.values()), reading.value)

    class Readings(Collector):
        def collect(self) -> Iterable[GaugeMetricFamily]:
            return families.values()

    registry = CollectorRegistry()
    registry.register(Readings())
    return registry
