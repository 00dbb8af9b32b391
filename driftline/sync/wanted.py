"""What one object that Git wants needs: a change, a person, a correction, or nothing. Called by `planning`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from driftline.model.drift import Verdict, VerdictState
from driftline.model.objects import Key, annotations_of
from driftline.model.plan import Change, Held, Op, Problem
from driftline.sync.given import LiveSeen, Owned, PlanInput, Wanted
from driftline.sync.options import of_annotations, setting
from driftline.sync.order import provided_kind, rank

Decision = Change | Held | Problem | None
"""None: nothing to do."""

NEVER_RECREATED = frozenset(
    {("", "PersistentVolumeClaim"), ("", "Namespace"), ("apiextensions.k8s.io", "CustomResourceDefinition")}
)
"""Deleting one of these deletes what it holds; no option makes a plan do it."""

RECREATED_ON_REQUEST = frozenset({("apps", "StatefulSet"), ("", "PersistentVolume")})
"""Recreated only when a person allows this very object: data hangs on it."""


class Conflict(Problem):
    """The object belongs to another application. A class of its own, because nothing is lost: the object is there."""


@dataclass(frozen=True)
class _Case:
    """One wanted object with all that is known of it."""

    key: Key
    wanted: Wanted
    verdict: Verdict | None
    row: Owned | None
    live: LiveSeen | None
    read: bool
    """Whether the live object was looked for by name."""
    given: PlanInput

    @property
    def approved(self) -> bool:
        return self.key in self.given.options.approved

    @property
    def uid(self) -> str:
        """The uid that an update must meet: the recorded one, else that of a live object that carries our marks."""
        if self.row is not None and self.row.uid:
            return self.row.uid
        return self.live.uid if self.live else ""

    def change(self, op: Op, reason: str = "", uid: str | None = None) -> Change:
        verdict = self.verdict
        return Change(
            op,
            self.key,
            desired_digest=self.wanted.digest,
            uid=self.uid if uid is None else uid,
            rank=rank(self.key.kind),
            reason=reason or (verdict.reason if verdict else "") or self.given.client_side.get(self.key, ""),
            fields=verdict.fields if verdict else (),
            leftovers=verdict.leftovers if verdict else (),
        )

    def problem(self, message: str) -> Problem:
        return Problem(self.key, message)


def decide(key: Key, given: PlanInput) -> Decision:
    """What becomes of one key of `given.wanted`. Pure; raises nothing."""
    case = _Case(
        key,
        given.wanted[key],
        given.verdicts.get(key),
        given.owned.get(key),
        given.live.get(key),
        key in given.live,
        given,
    )
    if (conflict := _conflict(case)) is not None:
        return conflict
    if case.read and case.live is None:
        return _missing(case)
    if case.live is not None and case.row is not None and case.row.uid and case.live.uid != case.row.uid:
        return _recreated_by_others(case, case.live, case.row)
    if case.verdict is not None and case.verdict.state in _FIRST:
        return _FIRST[case.verdict.state](case)
    if _written(case.row):
        return _ours(case)
    if case.live is None:
        return _unseen(case)
    return _ours(case) if case.live.marked else _adoption(case, case.live)


def _written(row: Owned | None) -> bool:
    """Whether the answer to a first write was recorded; a row alone only says that a write was intended."""
    return row is not None and bool(row.uid or row.desired_digest)


def _conflict(case: _Case) -> Problem | None:
    owner = case.given.others.get(case.key, "")
    live = case.live
    if not owner and live is not None and live.ours and not live.marked and case.row is None:
        owner = live.tracked_by
    if not owner or owner == case.given.options.application:
        return None
    return Conflict(
        case.key,
        f"belongs to application {owner}; remove it from one of the two, or move it by dropping it there first",
    )


def _missing(case: _Case) -> Decision:
    state = case.verdict.state if case.verdict else VerdictState.MISSING
    return _FIRST[state](case) if state in _IN_THE_WAY else _gone(case)


def _unseen(case: _Case) -> Decision:
    """Nothing is known to be there. A create has to create: if something stands there, the write stops and names it."""
    verdict = case.verdict
    # The tracking id is a desired field, so these verdicts can only be about an object that carries our mark.
    if verdict is not None and verdict.state in (VerdictState.SYNCED, VerdictState.CLAIM):
        return case.change(Op.CLAIM, "not in the inventory", uid="")
    if verdict is not None and verdict.state is not VerdictState.MISSING:
        return case.problem(f"exists ({verdict.state}), but was not read by name; nothing is written unseen")
    return case.change(Op.CREATE, uid="")


def _ours(case: _Case) -> Decision:
    """An object that is ours by uid, or by its marks while the row has none yet."""
    verdict = case.verdict
    state = verdict.state if verdict else None
    if state is VerdictState.CLAIM:
        return case.change(Op.CLAIM)
    if state is VerdictState.UNMARKED:
        return _update(case, "tracking mark removed")
    if state in (VerdictState.DRIFTED, VerdictState.SUSPECT):
        return _update(case, "")
    if not _written(case.row):
        return case.change(Op.CLAIM, "not recorded in the inventory")
    same = case.row is not None and case.row.desired_digest == case.wanted.digest
    return None if same or state is VerdictState.SYNCED else _update(case, "")


def _update(case: _Case, reason: str) -> Decision:
    # Replace with Force is Argo CD's way to run a Job again: it deletes and creates at each sync. Here only when Git
    # or live has changed, because a sync never writes an object that is as Git says.
    if _option(case, "Replace") and _option(case, "Force") and not _never(case.key):
        return _recreation(case, reason or "Replace=true,Force=true")
    return case.change(Op.UPDATE, reason)


def _adoption(case: _Case, live: LiveSeen) -> Decision:
    if live.controlled:
        return case.problem(f"is controlled by {live.controlled} and cannot be adopted; remove it from Git")
    if case.verdict is not None and case.verdict.state is VerdictState.RECREATE:
        return case.problem(f"exists, is not ours, and {_immutable(case)}; delete it by hand or rename it in Git")
    if not case.given.options.adopt and not case.approved:
        return case.problem("exists and is not ours; allow its adoption (app adopt) or rename it in Git")
    change = case.change(Op.ADOPT, _found(live), uid=live.uid)
    return replace(change, leftovers=change.leftovers + live.will_go)


def _found(live: LiveSeen) -> str:
    return f"exists, tracked by {live.tracked_by}" if live.tracked_by else "exists without an owner"


def _recreated_by_others(case: _Case, live: LiveSeen, row: Owned) -> Decision:
    if live.controlled:
        return case.problem(f"was recreated and is controlled by {live.controlled}; remove it from Git")
    adopt = case.change(Op.ADOPT, "recreated", uid=live.uid)
    if case.approved:
        return adopt
    reason = f"was deleted and created again by others (uid {live.uid}, ours was {row.uid}); app adopt accepts it"
    return Held(adopt, reason)


def _recreated(case: _Case) -> Decision:
    """The comparison saw another uid, but the object was not read: the uid to meet is not known."""
    if case.live is not None:
        return _ours(case) if case.live.marked else _adoption(case, case.live)
    words = case.verdict.reason if case.verdict else ""
    return case.problem(f"was deleted and created again by others{': ' if words else ''}{words}; app adopt accepts it")


def _recreate(case: _Case) -> Decision:
    if case.row is None and (case.live is None or not case.live.marked):
        if case.live is not None:
            return _adoption(case, case.live)
        return case.problem(f"{_immutable(case)}, and it is not ours")
    if _never(case.key):
        return case.problem(f"{_immutable(case)}; a {case.key.kind} is never recreated, change it back in Git")
    if case.approved or case.given.options.force or _option(case, "Force"):
        return _recreation(case, _immutable(case))
    return case.problem(f"{_immutable(case)}; allow recreate (sync option Force=true) to replace the object")


def _recreation(case: _Case, reason: str) -> Decision:
    change = case.change(Op.RECREATE, reason)
    if (case.key.group, case.key.kind) in RECREATED_ON_REQUEST and not case.approved:
        return Held(change, f"recreating a {case.key.kind} may cost data; allow it by name")
    return change


def _immutable(case: _Case) -> str:
    verdict = case.verdict
    paths = ", ".join(field.path for field in verdict.fields) if verdict else ""
    if paths:
        return f"{paths} cannot change"
    return verdict.reason if verdict and verdict.reason else "an immutable field cannot change"


def _never(key: Key) -> bool:
    return (key.group, key.kind) in NEVER_RECREATED


def _option(case: _Case, name: str) -> bool:
    own = of_annotations(annotations_of(case.wanted.body))
    return setting(name, case.given.options.sync_options, own) == "true"


def _deleting(case: _Case) -> Decision:
    return case.problem("is being deleted; it is created again once it is gone")


def _kind_not_served(case: _Case) -> Decision:
    kind = (case.key.group, case.key.kind)
    if any(provided_kind(key, wanted.body) == kind for key, wanted in case.given.wanted.items()):
        return case.change(Op.CREATE, f"unverified until {case.key.group_kind} is served", uid="")
    if _option(case, "SkipDryRunOnMissingResource"):
        return case.change(Op.CREATE, f"unverified, {case.key.group_kind} is not served yet", uid="")
    return case.problem(
        f"the cluster does not serve the kind {case.key.group_kind}; add its CustomResourceDefinition, "
        "or set SkipDryRunOnMissingResource=true if something else installs it during the sync"
    )


def _namespace_missing(case: _Case) -> Decision:
    options = case.given.options
    namespace = case.key.namespace
    on_request = setting("CreateNamespace", options.sync_options, {}) == "true"
    if Key("", "Namespace", "", namespace) in case.given.wanted or (
        on_request and namespace == options.destination_namespace
    ):
        return case.change(Op.CREATE, f"unverified until Namespace/{namespace} exists", uid="")
    return case.problem(f"namespace {namespace} does not exist; add it to Git or set CreateNamespace=true")


def _refused(case: _Case) -> Decision:
    return case.problem(_words(case, "the cluster refuses it"))


def _unapplicable(case: _Case) -> Decision:
    return case.problem(_words(case, "the API server cannot apply it"))


def _unknown(case: _Case) -> Decision:
    return case.problem(_words(case, "its state in the cluster could not be read; nothing is written"))


def _gone(case: _Case) -> Decision:
    return case.change(Op.CREATE, "missing", uid="")


def _words(case: _Case, otherwise: str) -> str:
    return case.verdict.reason if case.verdict and case.verdict.reason else otherwise


_FIRST: Mapping[VerdictState, Callable[[_Case], Decision]] = {
    VerdictState.MISSING: _gone,
    VerdictState.DELETING: _deleting,
    VerdictState.RECREATE: _recreate,
    VerdictState.RECREATED: _recreated,
    VerdictState.REFUSED: _refused,
    VerdictState.KIND_NOT_SERVED: _kind_not_served,
    VerdictState.NAMESPACE_MISSING: _namespace_missing,
    VerdictState.UNAPPLICABLE: _unapplicable,
    VerdictState.UNKNOWN: _unknown,
}
"""Verdicts that decide before the question whose the object is."""

_IN_THE_WAY = frozenset(
    {
        VerdictState.KIND_NOT_SERVED,
        VerdictState.NAMESPACE_MISSING,
        VerdictState.REFUSED,
        VerdictState.UNAPPLICABLE,
        VerdictState.UNKNOWN,
    }
)
"""What keeps a missing object from being created."""
