"""Make the plan of one sync attempt: read by name what only a GET can tell, then let the pure planner decide."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from driftline.adapters.store import applications, objects
from driftline.adapters.store.objects import ObjectRow
from driftline.drift.clientside import repeats, why_client_side
from driftline.flow.children import is_child, itself, seen_children, seen_itself
from driftline.flow.edges import Edges
from driftline.flow.looking import Look, comparer_for
from driftline.flow.reading import live_seen
from driftline.flow.situation import OWN
from driftline.model.errors import Temporary
from driftline.model.objects import Key
from driftline.model.plan import Plan
from driftline.sync.given import LiveSeen, Owned, PlanInput, PlanOptions, Wanted
from driftline.sync.planning import plan


@dataclass(frozen=True)
class Ask:
    """What a sync was asked to do."""

    prune: bool = False
    automated: bool = False
    only: frozenset[Key] | None = None
    sync_options: tuple[str, ...] | None = None
    """Instead of the application's own."""
    force: bool = False
    approved: frozenset[Key] = frozenset()
    confirmed: bool = False
    """Whether a person has confirmed deletions since the sync began, by the annotation on the Application."""
    dry_run: bool = False
    deleting: bool = False
    former: str = ""
    """The uid of a former cluster of which the rest is pruned; empty for a sync of the destination."""
    hooks_ran: bool = False
    """Whether the operation has run its hooks before it was held."""
    exists: frozenset[Key] = frozenset()
    """Keys that an earlier attempt meant to create and found there: they are looked at by name first."""
    started_at: datetime | None = None
    check_owners: bool = False
    """Whether to look for other owners before claiming; without it the claim itself finds them."""

    def to_json(self) -> dict[str, Any]:
        """For the sync's row."""
        return {
            "prune": self.prune,
            "only": sorted(key.id for key in self.only) if self.only is not None else None,
            "sync_options": list(self.sync_options) if self.sync_options is not None else None,
            "force": self.force,
            "dry_run": self.dry_run,
            **({"former": self.former} if self.former else {}),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Ask":
        """Read what `to_json` wrote, and what `operate.request_sync` saved."""
        only = found.get("only")
        given = found.get("sync_options")
        return cls(
            prune=bool(found.get("prune")),
            only=frozenset(Key.parse(each) for each in only) if only is not None else None,
            sync_options=tuple(given) if given is not None else None,
            force=bool(found.get("force")),
            dry_run=bool(found.get("dry_run")),
            former=str(found.get("former") or ""),
        )


def make_plan(edges: Edges, found: Look, ask: Ask) -> tuple[Plan, PlanInput]:
    """The plan for a look. Raises the Failure of a read that the plan needs: an error is never an absence."""
    given = plan_input(edges, found, ask)
    made = plan(given)
    return replace(made, problems=made.problems + found.problems), given


def plan_input(edges: Edges, found: Look, ask: Ask) -> PlanInput:
    """Everything that the plan depends on, as values."""
    app = found.situation.app
    live = _live(edges, found, ask)
    return PlanInput(
        wanted=found.wanted,
        verdicts=found.compared.verdicts,
        # It never prunes itself, so that it is no part of a plan once Git has dropped its own declaration.
        owned={
            key: owned_row(row)
            for key, row in found.situation.owned.items()
            if key in found.wanted or not itself(key, found.situation.row.name)
        },
        live=live,
        client_side=_client_side(edges, found),
        others=_others(edges, found) if ask.check_owners else {},
        hooks=tuple(Wanted(body, "") for body in found.wish.desired.hooks),
        options=PlanOptions(
            application=found.situation.row.name,
            # A manifest that cannot be read may name what looks as if Git had dropped it.
            prune=ask.prune and not found.problems,
            deleting=ask.deleting,
            automated=ask.automated,
            allow_empty=bool(app.automated and app.automated.allow_empty),
            budget_count=edges.settings.prune_budget,
            budget_percent=edges.settings.prune_budget_percent,
            sync_options=ask.sync_options if ask.sync_options is not None else app.sync_options,
            only=ask.only,
            approved=ask.approved,
            confirmed=ask.confirmed,
            force=ask.force,
            hooks_ran=ask.hooks_ran,
            destination_namespace=app.destination.namespace,
            namespace_labels=app.managed_namespace_labels,
            namespace_annotations=app.managed_namespace_annotations,
            revision=found.wish.revisions[0] if found.wish.revisions else "",
            started_at=ask.started_at,
        ),
    )


def _client_side(edges: Edges, found: Look) -> Mapping[Key, str]:
    """Of what Git has changed, the objects that cannot be applied server-side, and why."""
    comparer = comparer_for(edges, found.situation, found.view)
    bodies = {key: found.wanted[key].body for key in found.behind if not is_child(key)}
    why = {
        key: why_client_side(body, comparer.context(body, None).type) for key, body in bodies.items() if repeats(body)
    }
    return {key: words for key, words in why.items() if words}


def owned_row(row: ObjectRow) -> Owned:
    """An inventory row as the planner sees it."""
    return Owned(row.uid, row.desired_digest, row.wave, tuple(row.options or ()))


def _live(edges: Edges, found: Look, ask: Ask) -> Mapping[Key, LiveSeen | None]:
    """Live objects read by name: what is to go, what has no recorded uid, what stood in the way of a create."""
    situation, app = found.situation, found.situation.app
    marks = situation.marks
    known = found.compared.bodies
    unsure = {key for key, row in situation.owned.items() if not row.uid and key in found.wanted}
    asked = {key for key in (*unsure, *ask.exists) if key not in known and not is_child(key) and key in found.wanted}
    versions = {key: str(found.wanted[key].body["apiVersion"]) for key in asked}
    namespace = Key("", "Namespace", "", app.destination.namespace)
    if _makes_namespace(found, ask, namespace):
        versions[namespace] = "v1"
    reads = found.view.reader.read(versions)
    # Without an answer nothing is planned for that object: the planner names it and leaves it alone.
    for failure in reads.failed.values():
        if isinstance(failure, Temporary):
            raise failure
    comparer = comparer_for(edges, situation, found.view)
    seen: dict[Key, LiveSeen | None] = {}
    for key, body in {**known, **reads.found}.items():
        desired = found.wanted[key].body if key in found.wanted else None
        context = comparer.context(desired, situation.owned.get(key)) if desired is not None and body else None
        seen[key] = live_seen(body, marks, desired, context, key in ask.exists)
    row = situation.row
    seen |= {key: seen_itself(row.id) for key in found.wanted if itself(key, row.name)}
    if any(is_child(key) for key in found.extras):
        with edges.store.read() as db:
            children = seen_children(db, situation.row.id)
        seen |= {key: children.get(key.name) for key in found.extras if is_child(key)}
    return seen


def _makes_namespace(found: Look, ask: Ask, namespace: Key) -> bool:
    """Whether the destination's namespace may have to be made: asked for, not in Git, nothing of ours in it yet."""
    options = ask.sync_options if ask.sync_options is not None else found.situation.app.sync_options
    if not namespace.name or "CreateNamespace=true" not in options or namespace in found.wanted:
        return False
    there = any(row.uid and row.namespace == namespace.name for row in found.situation.owned.values())
    return not there or bool(found.situation.app.managed_namespace_labels)


def _others(edges: Edges, found: Look) -> Mapping[Key, str]:
    """Keys that other applications own, and their names. Only new keys can be."""
    fresh = [key for key in found.wanted if key not in found.situation.owned]
    if not fresh:
        return {}
    with edges.store.read() as db:
        owners = objects.owners(db, found.view.uid, [key for key in fresh if not is_child(key)])
        owners |= objects.owners(db, OWN, [key for key in fresh if is_child(key)])
        rows = applications.by_ids(db, sorted(set(owners.values()))) if owners else {}
    return {key: rows[owners[key.id]].name for key in fresh if key.id in owners and owners[key.id] in rows}
