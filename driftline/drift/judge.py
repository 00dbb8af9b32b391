"""What the API server's dry run of an apply says about one object. Called for what the local comparison suspects.

Only fields count that Git sets or that our last apply had. The dry run alone would miss fields that Git dropped and
somebody else holds; the field set of our last apply finds them.
"""

from typing import Final

from driftline.drift.authors import Authors
from driftline.drift.context import Context
from driftline.drift.diff import changes
from driftline.drift.dropped import once_applied, sort_out, still_there
from driftline.drift.fields import FieldSet, fields_of, owned_by
from driftline.drift.ignore import sift
from driftline.drift.report import fields, names
from driftline.drift.standing import standing
from driftline.drift.walk import differences, moved, overridden
from driftline.model.cluster import Refusal
from driftline.model.drift import Verdict, VerdictState
from driftline.model.objects import Object, key_of

_REFUSED: Final = {
    Refusal.CONFLICT: VerdictState.UNKNOWN,
    Refusal.EXISTS: VerdictState.UNKNOWN,
    Refusal.UNAUTHORIZED: VerdictState.UNKNOWN,
    Refusal.IMMUTABLE: VerdictState.RECREATE,
    Refusal.INVALID: VerdictState.REFUSED,
    Refusal.FORBIDDEN: VerdictState.REFUSED,
    Refusal.TOO_LARGE: VerdictState.REFUSED,
    Refusal.KIND_NOT_SERVED: VerdictState.KIND_NOT_SERVED,
    Refusal.NAMESPACE_MISSING: VerdictState.NAMESPACE_MISSING,
    Refusal.NAMESPACE_TERMINATING: VerdictState.NAMESPACE_MISSING,
    Refusal.UNAPPLICABLE: VerdictState.UNAPPLICABLE,
    Refusal.NO_APPLY: VerdictState.UNAPPLICABLE,
}


def judge(desired: Object, live: Object, predicted: Object, context: Context) -> Verdict:
    """The verdict from the answer to a dry run of `desired` over exactly this `live` (same uid and resourceVersion)."""
    fixed = standing(desired, live, context)
    if fixed is not None and fixed.state is not VerdictState.UNMARKED:
        return fixed
    key = key_of(desired)
    sifted = sift(desired, live, predicted, context)
    claimed = _set(predicted, context.manager)
    once = sifted.fields(once_applied(live, context))
    dropped = sort_out(live, predicted, once, sifted.fields(claimed), context)
    authors = Authors(live, context.manager)
    found = [*moved(sifted.desired, sifted.live, sifted.predicted, context.type), *dropped.going]
    if context.include_mutations:
        seen = {each.path for each in found}
        found += [each for each in changes(sifted.predicted, sifted.live, context.type) if each.path not in seen]
    shown, leftovers = fields(found, authors), fields(dropped.staying, authors)
    if fixed is not None:
        return Verdict(key, fixed.state, shown, fixed.reason, leftovers)
    if shown or leftovers:
        reason = "" if shown else f"Git dropped what others still hold: {names(each.path for each in dropped.staying)}"
        return Verdict(key, VerdictState.DRIFTED, shown, reason, leftovers)
    rewritten = names(overridden(sifted.desired, sifted.predicted, context.type))
    reason = f"changed by admission: {rewritten}" if rewritten else ""
    owned = owned_by(live, context.manager)
    held = sifted.fields(owned[0]) if owned and owned[1] == desired.get("apiVersion") else None
    same = held == sifted.fields(claimed) or (owned is None and not claimed)
    return Verdict(key, VerdictState.SYNCED if same else VerdictState.CLAIM, reason=reason)


def judge_refusal(desired: Object, live: Object | None, refusal: Refusal, message: str, context: Context) -> Verdict:
    """The verdict from a refused dry run. `message` is the API server's, already fit for people."""
    fixed = standing(desired, live, context)
    if fixed is not None and live is not None and fixed.state is not VerdictState.UNMARKED:
        return fixed
    state = _REFUSED[refusal]
    if refusal is Refusal.IMMUTABLE and "metadata.uid" in message:
        # Not an immutable field: the name belongs to another object now. Recreating would delete a stranger.
        state = VerdictState.RECREATED
    sifted = sift(desired, live or {}, None, context)
    if live is None:
        return Verdict(key_of(desired), state, reason=message)
    authors = Authors(live, context.manager)
    found = differences(sifted.desired, sifted.live, context.type)
    claimed = sifted.fields(fields_of(desired, context.type))
    gone = still_there(live, sifted.fields(once_applied(live, context)), claimed, context)
    # What others still hold may be why the apply was refused: a second volume source, a second probe.
    leftovers = [each for each in gone if authors.others(each.path)]
    return Verdict(key_of(desired), state, fields(found, authors), message, fields(leftovers, authors))


def _set(body: Object, manager: str) -> FieldSet:
    owned = owned_by(body, manager)
    return owned[0] if owned else FieldSet()
