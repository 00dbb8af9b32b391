"""Which objects of the inventory a sync deletes, which wait for a person, and which are left. Called by `planning`.

Everything here errs on the side of keeping: a deletion needs a live object that was read, carries our marks and our
uid, is nobody else's, and was asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from driftline.model.objects import Key
from driftline.model.plan import Change, Held, Op, Problem
from driftline.sync.given import LiveSeen, Owned, PlanInput
from driftline.sync.options import kept_by_helm, of_annotations, parse, protection, setting
from driftline.sync.order import deletion_rank, wave_of

GUARDED = frozenset(
    {
        ("", "Namespace"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("", "PersistentVolumeClaim"),
        ("", "PersistentVolume"),
    }
)
"""Kinds that take other objects or data with them: a prune of one always waits for a person."""

SYSTEM_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
"""The API server refuses to delete these; some charts render them."""


@dataclass(frozen=True)
class Prune:
    """A deletion that may run: its wave when it was applied, and whether it goes after all others."""

    change: Change
    wave: int
    last: bool
    allowed: bool = False
    """A person has allowed this very one: no budget holds it."""


@dataclass(frozen=True)
class Prunes:
    """What becomes of the inventory keys that Git no longer names."""

    run: tuple[Prune, ...] = ()
    held: tuple[Held, ...] = ()
    skipped: tuple[Held, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def prunes(given: PlanInput) -> Prunes:
    """Decide on every inventory key that Git no longer names. Pure; raises nothing."""
    found = Prunes()
    uids = _wanted_uids(given)
    for key in sorted(gone_from_git(given)):
        found = _with(found, key, given, uids)
    return _within_budget(found, given)


def gone_from_git(given: PlanInput) -> frozenset[Key]:
    """The inventory keys that Git no longer names, among those that this sync looks at."""
    wanted = frozenset[Key]() if given.options.deleting else frozenset(given.wanted)
    extras = frozenset(given.owned) - wanted
    return extras if given.options.only is None else extras & given.options.only


def confirmed_gone(given: PlanInput) -> frozenset[Key]:
    """Those of them that a GET by name has not found: they leave the inventory without a deletion."""
    return frozenset(key for key in gone_from_git(given) if key in given.live and given.live[key] is None)


def _wanted_uids(given: PlanInput) -> frozenset[str]:
    """Every uid that a desired key resolves to: one object can be read under two groups."""
    rows = (given.owned[key].uid for key in given.wanted if key in given.owned)
    seen = (live.uid for key in given.wanted if (live := given.live.get(key)) is not None)
    return frozenset(uid for uid in (*rows, *seen) if uid)


def _with(found: Prunes, key: Key, given: PlanInput, uids: frozenset[str]) -> Prunes:
    if key in given.others:
        note = f"{key}: belongs to application {given.others[key]} now and is left to it"
        return Prunes(found.run, found.held, found.skipped, found.problems, (*found.warnings, note))
    if key not in given.live:
        unread = Problem(key, "could not be read; nothing is deleted unseen")
        return Prunes(found.run, found.held, found.skipped, (*found.problems, unread), found.warnings)
    live = given.live[key]
    if live is None:
        return found
    if note := _not_ours(key, given.owned[key], live, uids):
        return Prunes(found.run, found.held, found.skipped, found.problems, (*found.warnings, note))
    prune = _prune(key, given, live)
    if why := _kept(key, given, live):
        return Prunes(found.run, found.held, (*found.skipped, Held(prune.change, why)), found.problems, found.warnings)
    confirm = _wants_confirmation(key, given, live)
    if key in given.options.approved or (confirm and given.options.confirmed):
        prune = replace(prune, allowed=True)
    elif why := confirm or _held(key, given, live):
        held = Held(prune.change, why, confirm=bool(confirm))
        return Prunes(found.run, (*found.held, held), found.skipped, found.problems, found.warnings)
    return Prunes((*found.run, prune), found.held, found.skipped, found.problems, found.warnings)


def _prune(key: Key, given: PlanInput, live: LiveSeen) -> Prune:
    row = given.owned[key]
    wave = wave_of(live.annotations) or row.wave
    own = of_annotations(live.annotations) or parse(row.options)
    last = setting("PruneLast", given.options.sync_options, own) == "true"
    reason = "the application is deleted" if given.options.deleting else "no longer in Git"
    change = Change(
        Op.PRUNE,
        key,
        uid=live.uid,
        resource_version=live.resource_version,
        rank=deletion_rank(key.kind),
        reason=reason,
    )
    return Prune(change, wave, last)


def _not_ours(key: Key, row: Owned, live: LiveSeen, uids: frozenset[str]) -> str:
    """Why a live object is not ours to delete, or empty."""
    if live.controlled:
        return f"{key}: is controlled by {live.controlled} and is not deleted"
    if row.uid and live.uid != row.uid:
        return f"{key}: was deleted and created again by others (uid {live.uid}); it is not deleted"
    if not live.marked:
        return f"{key}: no longer carries this application's mark and is not deleted"
    if live.uid in uids:
        return f"{key}: is the same object as one that Git still names and is not deleted"
    return ""


def _kept(key: Key, given: PlanInput, live: LiveSeen) -> str:
    """Why nobody's approval is asked: the deletion is not wanted at all."""
    options, row = given.options, given.owned[key]
    if key.group == "" and key.kind == "Namespace" and key.name in SYSTEM_NAMESPACES:
        return "a system namespace is never deleted"
    if kept_by_helm(row.options, live.annotations):
        return "kept (helm.sh/resource-policy: keep)"
    if options.deleting:
        if protection("Delete", options.sync_options, row.options, live.annotations) == "false":
            return "kept (Delete=false)"
        # As Argo CD does: a definition outlives the application that brought it, because deleting it would delete
        # every object of its kind in the cluster, whoever made them.
        return "kept (a CustomResourceDefinition outlives its application)" if _is_definition(key) else ""
    if protection("Prune", options.sync_options, row.options, live.annotations) == "false":
        return "ignored (no prune)"
    return "" if options.prune else "ignored (requires pruning)"


def _is_definition(key: Key) -> bool:
    return (key.group, key.kind) == ("apiextensions.k8s.io", "CustomResourceDefinition")


def _wants_confirmation(key: Key, given: PlanInput, live: LiveSeen) -> str:
    """That the object asks for a person before it is deleted, in words, or empty."""
    options, row = given.options, given.owned[key]
    name = "Delete" if options.deleting else "Prune"
    asks = protection(name, options.sync_options, row.options, live.annotations) == "confirm"
    return f"{name}=confirm asks for a person; app confirm-deletion allows it" if asks else ""


def _held(key: Key, given: PlanInput, live: LiveSeen) -> str:
    """Why a person has to allow this deletion, or empty."""
    options = given.options
    if (key.group, key.kind) not in GUARDED:
        return ""
    dying = f"; {live.holds} objects of others die with it" if live.holds else ""
    if not options.deleting:
        return f"deleting a {key.kind} takes what it holds{dying}"
    # A volume holds data of the very application that a person has asked to delete; a namespace can hold others'.
    if live.holds == 0 or (live.holds is None and key.kind != "Namespace"):
        return ""
    return f"deleting a {key.kind} takes what it holds{dying or '; nobody has counted what that is'}"


def _within_budget(found: Prunes, given: PlanInput) -> Prunes:
    """Hold every deletion that no person has allowed when there are more of them than the budget."""
    options = given.options
    if options.deleting:
        return found
    total = max(len(given.owned), options.previous)
    budget = max(options.budget_count, total * options.budget_percent // 100)
    counted = [prune for prune in found.run if not prune.allowed]
    if len(counted) <= budget:
        return found
    reason = f"{len(counted)} of {total} objects would be deleted, more than the budget of {budget}"
    held = (Held(prune.change, reason) for prune in counted)
    run = tuple(prune for prune in found.run if prune.allowed)
    return Prunes(run, (*found.held, *held), found.skipped, found.problems, found.warnings)


def stopped(found: Prunes, reason: str) -> Prunes:
    """The same, with every deletion that would have run left for a later sync."""
    left = tuple(Held(prune.change, reason) for prune in found.run)
    return Prunes((), found.held, (*found.skipped, *left), found.problems, found.warnings)


def mirrored(run: tuple[Prune, ...]) -> Mapping[int, tuple[Prune, ...]]:
    """Ordinary deletions by wave, latest wave first, as a mapping in the order in which they run."""
    waves = sorted({prune.wave for prune in run if not prune.last}, reverse=True)
    return {wave: tuple(prune for prune in run if prune.wave == wave and not prune.last) for wave in waves}
