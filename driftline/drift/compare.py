"""Desired against live without asking the API server: sound, and quick enough for every object of every check.

Clean means: every value that Git sets is there, in Git's order, and our field manager owns exactly what Git sets. What
cannot be told from here is a suspect, and a dry run has to tell (`judge`).
"""

from driftline.drift.authors import Authors
from driftline.drift.clientside import compare_client_side
from driftline.drift.context import Context
from driftline.drift.dropped import still_there
from driftline.drift.fields import Claims, FieldSet, claims_of, owned_by
from driftline.drift.ignore import sift
from driftline.drift.judge import judge, judge_refusal
from driftline.drift.report import fields, names
from driftline.drift.standing import standing
from driftline.drift.walk import Difference, differences
from driftline.model.drift import Verdict, VerdictState
from driftline.model.objects import Object, key_of

__all__ = ["Context", "compare", "judge", "judge_refusal"]


def compare(desired: Object, live: Object | None, context: Context) -> Verdict:
    """The verdict on one object. `desired` is finalised and prepared; `live` is read in desired's apiVersion.

    SYNCED and CLAIM are certain. SUSPECT names candidate fields; only `judge` turns them into drift.
    """
    fixed = standing(desired, live, context)
    if fixed is not None and (live is None or fixed.state is not VerdictState.UNMARKED):
        return fixed
    assert live is not None
    sifted = sift(desired, live, None, context)
    claims = claims_of(desired, context.type)
    if claims.duplicates:
        return compare_client_side(desired, live, context, claims)
    found = list(differences(sifted.desired, sifted.live, context.type))
    claimed = sifted.fields(claims.fields)
    owned = owned_by(live, context.manager)
    held = sifted.fields(owned[0]) if owned else FieldSet()
    if held != claimed or (context.applied or claims.fields) != claims.fields:
        found += still_there(live, sifted.fields((context.applied or FieldSet()).union(held)), claimed, context)
    shown = fields(found, Authors(live, context.manager)) if found else ()
    if fixed is not None:
        return Verdict(fixed.key, fixed.state, shown, fixed.reason)
    doubt = _doubt(claims, found, context, owned[1] if owned else "", str(desired["apiVersion"]))
    if doubt:
        return Verdict(key_of(desired), VerdictState.SUSPECT, shown, doubt)
    if held != claimed:
        return Verdict(key_of(desired), VerdictState.CLAIM, reason="the values are right, but not all of them are ours")
    return Verdict(key_of(desired), VerdictState.SYNCED)


def _doubt(claims: Claims, found: list[Difference], context: Context, held_as: str, api_version: str) -> str:
    """Why the values at hand do not prove that the object is in sync; empty if they do."""
    if context.type is None:
        return "no schema for this kind"
    if claims.unknown:
        return f"fields unknown to the schema: {names(claims.unknown)}"
    if claims.nulls:
        return f"null is not the same as absent: {names(claims.nulls)}"
    if held_as not in ("", api_version):
        return f"last applied as {held_as}"
    return f"{len(found)} {'field' if len(found) == 1 else 'fields'} may differ" if found else ""
