"""How each state looks: one colour class and one icon, never colour alone. Used by templates through `state()`."""

from dataclasses import dataclass

from markupsafe import Markup, escape

from service.ui import assets


@dataclass(frozen=True)
class Look:
    """`tone` names the colours in the stylesheet, `icon` a drawing."""

    tone: str
    icon: str


_WELL, _SYNCED = Look("well", "heart"), Look("well", "circle-check")
_BROKEN, _FAILED = Look("bad", "heart-crack"), Look("bad", "circle-x")
_MOVING = Look("moving", "loader-circle")
_BEHIND = Look("behind", "circle-arrow-up")
_GONE = Look("gone", "ghost")
_PAUSED = Look("paused", "circle-pause")
_WAITING = Look("unknown", "hourglass")
_STALE = Look("unknown", "clock-alert")
UNKNOWN = Look("unknown", "circle-question-mark")

LOOKS = {
    "Healthy": _WELL,
    "Synced": _SYNCED,
    "OutOfSync": _BEHIND,
    "Degraded": _BROKEN,
    "Progressing": _MOVING,
    "Missing": _GONE,
    "Suspended": _PAUSED,
    "Unknown": UNKNOWN,
    # Operations
    "Running": _MOVING,
    "Terminating": _MOVING,
    "Succeeded": _SYNCED,
    "Failed": _FAILED,
    "Error": _FAILED,
    "Superseded": Look("unknown", "circle-slash"),
    "Held": _WAITING,
    # One object of an operation
    "SyncFailed": _FAILED,
    "Pruned": Look("well", "trash-2"),
    "PruneSkipped": Look("behind", "trash-2"),
    "created": _SYNCED,
    "updated": _SYNCED,
    "adopted": _SYNCED,
    "claimed": _SYNCED,
    "recreated": _SYNCED,
    "unchanged": _SYNCED,
    "ran": _SYNCED,
    "pruned": Look("well", "trash-2"),
    "waiting": _WAITING,
    # Differences and drift
    "drifted": _BEHIND,
    "behind": _BEHIND,
    "missing": _GONE,
    "extra": Look("behind", "trash-2"),
    "open": _BEHIND,
    "ended": _SYNCED,
    # Repositories, clusters, messages, alerts, jobs, deliveries
    "ok": _SYNCED,
    "unreachable": _FAILED,
    "unknown": UNKNOWN,
    "stale": _STALE,
    "pending": _WAITING,
    "sent": _SYNCED,
    "dead": _FAILED,
    "firing": Look("bad", "bell"),
    "over": _SYNCED,
    "quarantined": Look("bad", "triangle-alert"),
    "accepted": _SYNCED,
    "ignored": Look("unknown", "circle-slash"),
    "unknown repository": _BEHIND,
    "Paused": _PAUSED,
    "Pinned": Look("paused", "undo-2"),
    "Deleting": Look("gone", "trash-2"),
}
"""Argo CD's words, and ours, as the database has them."""


def look(word: object) -> Look:
    """The look of a state; of a word that nobody listed, that of Unknown."""
    return LOOKS.get(str(word), UNKNOWN)


def icon(name: str, extra: str = "") -> Markup:
    """A drawing beside words that say the same, so that screen readers pass over it."""
    drawing = f"{assets.url('icons.svg')}#{name}"
    return Markup('<svg class="icon {}" aria-hidden="true"><use href="{}"/></svg>').format(extra, drawing)


def state(word: object, label: object = None) -> Markup:
    """A state: its icon and its word, or `label` in place of the word."""
    found = look(word)
    shown = escape(word if label is None else label)
    return Markup('<span class="state {}">{}<span>{}</span></span>').format(found.tone, icon(found.icon), shown)
