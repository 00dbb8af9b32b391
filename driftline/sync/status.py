"""From what was found about single objects to the status of an application and its conditions (CMP-02 to CMP-05)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from driftline.model.drift import Verdict, VerdictState
from driftline.model.health import SyncStatus
from driftline.model.objects import Key
from driftline.sync import texts

_SYNCED = frozenset({VerdictState.SYNCED, VerdictState.CLAIM})
_UNKNOWN = frozenset({VerdictState.UNKNOWN, VerdictState.SUSPECT, VerdictState.UNAPPLICABLE})
"""Nothing is known of the difference: neither Synced nor OutOfSync would be true."""


@dataclass(frozen=True)
class AppCondition:
    """One of Argo CD's conditions: its type and a text for people."""

    type: str
    message: str


@dataclass(frozen=True)
class Extra:
    """A live object that carries the application's mark and that Git does not name."""

    key: Key
    self_naming: bool = True
    """Whether its tracking id names the object itself; a copy of another object's does not."""
    ignore_extraneous: bool = False
    """compare-options: IgnoreExtraneous."""


@dataclass(frozen=True)
class Comparison:
    """The status of an application, which objects are the reason, and its conditions."""

    status: SyncStatus
    out_of_sync: tuple[Key, ...] = ()
    requires_pruning: tuple[Key, ...] = ()
    unknown: tuple[Key, ...] = ()
    conditions: tuple[AppCondition, ...] = ()


def object_sync_status(verdict: Verdict) -> SyncStatus:
    """The status of one object. A claim is in sync: its values are as Git says."""
    if verdict.state in _SYNCED:
        return SyncStatus.SYNCED
    return SyncStatus.UNKNOWN if verdict.state in _UNKNOWN else SyncStatus.OUT_OF_SYNC


def application_sync_status(
    verdicts: Mapping[Key, Verdict],
    extras: Iterable[Extra] = (),
    ignored: Collection[Key] = (),
    shared: Mapping[Key, Collection[str]] | None = None,
) -> Comparison:
    """The status of an application.

    `verdicts` of wanted objects; one that is synced may be left out. `extras` are live-only objects, `ignored` keys of
    hooks and skipped objects, which count for nothing; objects that are never pruned do count. `shared` names the
    applications of objects that several claim. One object that differs makes the whole OutOfSync; one that could not
    be judged makes it Unknown, never Synced.
    """
    states = {key: object_sync_status(found) for key, found in sorted(verdicts.items()) if key not in ignored}
    differing = tuple(key for key, state in states.items() if state is SyncStatus.OUT_OF_SYNC)
    unknown = tuple(key for key, state in states.items() if state is SyncStatus.UNKNOWN)
    pruning = tuple(sorted(extra.key for extra in extras if _counts(extra, ignored)))
    conditions = tuple(
        AppCondition("SharedResourceWarning", texts.shared_resource(key, applications))
        for key, applications in sorted((shared or {}).items())
    )
    errors = tuple(AppCondition("ComparisonError", _why(verdicts[key])) for key in unknown)
    status = SyncStatus.UNKNOWN if unknown else SyncStatus.SYNCED
    if differing or pruning:
        status = SyncStatus.OUT_OF_SYNC
    return Comparison(status, tuple(sorted((*differing, *pruning))), pruning, unknown, errors + conditions)


def _counts(extra: Extra, ignored: Collection[Key]) -> bool:
    return extra.self_naming and not extra.ignore_extraneous and extra.key not in ignored


def _why(verdict: Verdict) -> str:
    return f"{verdict.key}: {verdict.reason or 'could not be compared'}"


def comparison_failed(message: str) -> Comparison:
    """Git could not be rendered or the cluster not be read: nothing is known (CMP-03)."""
    return Comparison(SyncStatus.UNKNOWN, conditions=(AppCondition("ComparisonError", message),))


def invalid_spec(message: str) -> Comparison:
    """The project or destination is not valid (CMP-03); health is Unknown too."""
    return Comparison(SyncStatus.UNKNOWN, conditions=(AppCondition("InvalidSpecError", message),))
