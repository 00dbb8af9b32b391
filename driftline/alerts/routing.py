"""Find who hears of an alert: Argo CD's subscription annotations, projects, and the installation's defaults."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from driftline.model.alert import Condition, Recipient

SUBSCRIBE = "notifications.argoproj.io/subscribe."
SUBSCRIPTIONS = "notifications.argoproj.io/subscriptions"

DEFAULT_TRIGGERS = frozenset(
    {
        Condition.SYNC_FAILED,
        Condition.HEALTH_DEGRADED,
        Condition.DRIFT_FOUND,
        Condition.DRIFT_FIGHT,
        Condition.CLUSTER_UNREACHABLE,
        Condition.REPOSITORY_UNREACHABLE,
        Condition.JOB_QUARANTINED,
        Condition.PLAN_HELD,
    }
)
"""What someone hears who subscribed without naming a trigger: trouble, and what waits for a person."""

STANDS_FOR: Mapping[Condition, frozenset[Condition]] = {
    Condition.CLUSTER_UNREACHABLE: frozenset(
        {Condition.SYNC_FAILED, Condition.HEALTH_DEGRADED, Condition.SYNC_UNKNOWN}
    ),
    Condition.REPOSITORY_UNREACHABLE: frozenset({Condition.SYNC_FAILED, Condition.SYNC_UNKNOWN}),
}
"""Who subscribed to one of these triggers of an application also hears of the cluster or repository it depends on."""

CHANNELS = ("slack", "email", "webhook")


@dataclass(frozen=True)
class Subscription:
    """Someone who wants to hear. Without `triggers`, the defaults; `selector` is a label selector of applications."""

    recipient: Recipient
    triggers: frozenset[str] = frozenset()
    selector: str = ""


@dataclass(frozen=True)
class Scope:
    """One application or project that an alert concerns: its annotations and labels."""

    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    subscriptions: Any = None
    """The `notifications.argoproj.io/subscriptions` annotation, parsed from its YAML."""


@dataclass(frozen=True)
class Routes:
    """The installation's own routing."""

    subscriptions: tuple[Subscription, ...] = ()
    """Who hears of every application (that the selector selects)."""
    default_triggers: frozenset[str] = DEFAULT_TRIGGERS
    """What a subscription without triggers means."""
    services: Mapping[str, str] = field(default_factory=dict)
    """Names that annotations use for a channel, beside `slack`, `email` and `webhook`: `{"gmail": "email"}`."""


def recipients(condition: Condition, scopes: Iterable[Scope], routes: Routes = Routes()) -> tuple[Recipient, ...]:
    """Everyone who hears of `condition`, each once, in a stable order.

    `scopes` are the applications it concerns and their projects: for a cluster or repository, those of every
    application that it hits. An address that two of them name hears once.
    """
    found: dict[Recipient, None] = {}
    known = tuple(scopes)
    for item in routes.subscriptions:
        if not item.selector or any(selects(item.selector, scope.labels) for scope in known):
            _add(found, item, condition, routes)
    for scope in known:
        for item in read_annotations(scope.annotations, routes.services, scope.subscriptions)[0]:
            _add(found, item, condition, routes)
    return tuple(found)


def _add(found: dict[Recipient, None], item: Subscription, condition: Condition, routes: Routes) -> None:
    wanted = item.triggers or routes.default_triggers
    if condition in wanted or STANDS_FOR.get(condition, frozenset()) & wanted:
        found[item.recipient] = None


def read_annotations(
    annotations: Mapping[str, str], services: Mapping[str, str] | None = None, subscriptions: Any = None
) -> tuple[tuple[Subscription, ...], tuple[str, ...]]:
    """The subscriptions that annotations declare, and warnings about what in them cannot work.

    Understood are `subscribe.<trigger>.<service>: "r1;r2"` and `subscribe.<service>: "r1;r2"` (default triggers).
    `subscriptions` is the value of the `notifications.argoproj.io/subscriptions` annotation, parsed from its YAML.
    """
    reader = _Reader(services or {})
    for name, value in annotations.items():
        if name.startswith(SUBSCRIBE):
            first, _, rest = name.removeprefix(SUBSCRIBE).partition(".")
            reader.add(name, {first} if rest else set(), rest or first, _addresses(value))
    for entry in subscriptions if isinstance(subscriptions, list) else []:
        reader.add_entry(entry)
    if subscriptions is not None and not isinstance(subscriptions, list):
        reader.warnings.append(f"{SUBSCRIPTIONS}: want a list of trigger and destinations")
    return tuple(reader.found), tuple(reader.warnings)


class _Reader:
    """Collects subscriptions and says what is wrong with the others."""

    def __init__(self, services: Mapping[str, str]) -> None:
        self.services = services
        self.found: list[Subscription] = []
        self.warnings: list[str] = []

    def add(self, where: str, triggers: set[str], service: str, addresses: Sequence[str]) -> None:
        channel = self.services.get(service, service)
        unknown = sorted(triggers - set(Condition))
        if channel not in CHANNELS:
            self.warnings.append(f"{where}: no service {service!r}; known are {', '.join((*CHANNELS, *self.services))}")
            return
        if unknown:
            self.warnings.append(f"{where}: no trigger {', '.join(unknown)}; known are {', '.join(sorted(Condition))}")
        if triggers and not triggers - set(unknown):
            return
        if not addresses:
            self.warnings.append(f"{where}: names no recipient; give {_EXAMPLES[channel]}")
        wanted = frozenset(triggers - set(unknown))
        self.found += [Subscription(Recipient(channel, address), wanted) for address in addresses]

    def add_entry(self, entry: Any) -> None:
        """One item of the YAML form. Odd shapes are warned of and skipped."""
        if not isinstance(entry, dict) or not isinstance(entry.get("destinations"), list):
            self.warnings.append(f"{SUBSCRIPTIONS}: each entry needs destinations")
            return
        triggers = {str(name) for name in _texts(entry.get("trigger"))}
        for destination in entry["destinations"]:
            if isinstance(destination, dict) and isinstance(destination.get("service"), str):
                self.add(SUBSCRIPTIONS, triggers, destination["service"], _texts(destination.get("recipients")))
            else:
                self.warnings.append(f"{SUBSCRIPTIONS}: each destination needs a service and recipients")


_EXAMPLES = {"slack": "a channel, #deploys", "email": "an address, ops@example.com", "webhook": "a URL, https://..."}


def _addresses(value: Any) -> list[str]:
    return [part.strip() for part in str(value).split(";") if part.strip()]


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text.strip() for text in values if isinstance(text, str) and text.strip()]


def parse_recipient(text: str) -> Recipient | None:
    """Read `channel:address`, as in `slack:#deploys` or `email:ops@example.com`; None for anything else."""
    channel, _, address = text.strip().partition(":")
    return Recipient(channel, address.strip()) if channel in CHANNELS and address.strip() else None


def read_subscriptions(entries: Any) -> tuple[tuple[Subscription, ...], tuple[str, ...]]:
    """Argo CD's global `subscriptions`, parsed: `[{recipients: [slack:x], triggers: [...], selector: a=b}]`."""
    found: list[Subscription] = []
    warnings: list[str] = []
    for entry in entries if isinstance(entries, list) else []:
        given = entry if isinstance(entry, dict) else {}
        triggers = frozenset(_texts(given.get("triggers")))
        selector = given.get("selector") if isinstance(given.get("selector"), str) else ""
        for text in _texts(given.get("recipients")):
            recipient = parse_recipient(text)
            if recipient is None:
                warnings.append(f"subscriptions: {text!r} is no recipient; write channel:address, as slack:#deploys")
            else:
                found.append(Subscription(recipient, triggers, selector or ""))
        if not _texts(given.get("recipients")):
            warnings.append("subscriptions: an entry names no recipients")
    return tuple(found), tuple(warnings)


_SET = re.compile(r"(\S+)\s+(in|notin)\s+\(([^)]*)\)")


def selects(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether a Kubernetes label selector (`a=b,c!=d,e in (f,g),h,!i`) selects these labels; nonsense selects none."""
    return all(_holds(term.strip(), labels) for term in re.split(r",(?![^(]*\))", selector) if term.strip())


def _holds(term: str, labels: Mapping[str, str]) -> bool:
    among = _SET.fullmatch(term)
    if among:
        values = {value.strip() for value in among[3].split(",")}
        return (labels.get(among[1]) in values) is (among[2] == "in")
    if "!=" in term:
        name, _, value = term.partition("!=")
        return labels.get(name.strip()) != value.strip()
    if "=" in term:
        name, _, value = term.replace("==", "=").partition("=")
        return labels.get(name.strip()) == value.strip()
    return term[1:].strip() not in labels if term.startswith("!") else term in labels
