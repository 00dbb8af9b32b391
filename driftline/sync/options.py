"""Sync options: of the application, of one object, and which of the two counts (OPT-00)."""

from collections.abc import Iterable, Mapping

from driftline.model.objects import Object, annotations_of

SYNC_OPTIONS = "argocd.argoproj.io/sync-options"
RESOURCE_POLICY = "helm.sh/resource-policy"

_SEEN = frozenset({"Prune", "Delete", "PruneLast", RESOURCE_POLICY})
"""What an inventory row keeps: when Git has dropped an object, nothing else says how it wanted to go."""


def parse(entries: Iterable[str]) -> Mapping[str, str]:
    """`Key=value` entries as a mapping; the last one of a key wins, blanks around both are dropped."""
    found: dict[str, str] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if equals and name.strip():
            found[name.strip()] = value.strip()
    return found


def of_annotations(annotations: Mapping[str, str]) -> Mapping[str, str]:
    """The options that an object carries, Helm's resource policy among them under its own name."""
    found = dict(parse(str(annotations.get(SYNC_OPTIONS) or "").split(",")))
    if policy := str(annotations.get(RESOURCE_POLICY) or "").strip():
        found[RESOURCE_POLICY] = policy
    return found


def seen(body: Object) -> tuple[str, ...]:
    """The options of an applied object that its inventory row has to remember, sorted."""
    return tuple(
        sorted(f"{name}={value}" for name, value in of_annotations(annotations_of(body)).items() if name in _SEEN)
    )


def setting(name: str, application: Iterable[str], own: Mapping[str, str]) -> str:
    """One option in lower case: the object's own, else the application's, else empty."""
    return (own.get(name) or parse(application).get(name) or "").lower()


def protection(name: str, application: Iterable[str], row: Iterable[str], live: Mapping[str, str]) -> str:
    """`Prune` or `Delete` of an object that is to go: `false`, `confirm` or empty.

    The row says what Git last said, the live object what stands there now. They can differ after a hand edit or an
    interrupted sync; the more careful one counts, because a deletion cannot be taken back.
    """
    said = {setting(name, (), parse(row)), setting(name, (), of_annotations(live))}
    own = "false" if "false" in said else "confirm" if "confirm" in said else ""
    return own or ("" if "true" in said else _careful(setting(name, application, {})))


def wants_confirmation(application: Iterable[str], row: Iterable[str]) -> bool:
    """Whether a person has to confirm that an object of the inventory goes, from a sync or with its application."""
    options, kept = tuple(application), tuple(row)
    return any(protection(name, options, kept, {}) == "confirm" for name in ("Prune", "Delete"))


def _careful(value: str) -> str:
    return value if value in ("false", "confirm") else ""


def kept_by_helm(row: Iterable[str], live: Mapping[str, str]) -> bool:
    """Whether the chart asked that the object outlives its release."""
    return "keep" in (setting(RESOURCE_POLICY, (), parse(row)), setting(RESOURCE_POLICY, (), of_annotations(live)))
