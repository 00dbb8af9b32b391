"""Delete what an application owns in a cluster: read it, decide by the rules of a plan, delete, record what is gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from driftline.adapters.store import jobs, live, objects
from driftline.adapters.store.objects import ObjectRow
from driftline.flow.children import is_child
from driftline.flow.contents import foreign_objects
from driftline.flow.deletion import Deletion
from driftline.flow.edges import Edges
from driftline.flow.planmaking import owned_row
from driftline.flow.reading import Reader, live_seen
from driftline.flow.situation import Situation
from driftline.model.cluster import ApiRefused, Refusal
from driftline.model.errors import Failure, Permanent
from driftline.model.objects import Key
from driftline.model.plan import Op
from driftline.sync.confirmation import approves
from driftline.sync.given import LiveSeen, PlanInput, PlanOptions
from driftline.sync.options import protection
from driftline.sync.planning import plan


@dataclass(frozen=True)
class _Found:
    """What reading the owned objects by name has told."""

    seen: Mapping[Key, LiveSeen | None]
    """None: a GET answered 404."""
    vanished: tuple[Key, ...]
    """Gone with their kind: complete discovery does not know it any more."""
    failed: tuple[Failure, ...]

    @property
    def gone(self) -> tuple[Key, ...]:
        return (*(key for key, found in self.seen.items() if found is None), *self.vanished)


@dataclass(frozen=True)
class _Choice:
    """What becomes of the live objects of an application that is deleted."""

    going: Sequence[Key]
    """Deleted, in this order."""
    held: Mapping[Key, str]
    """Waiting, and for what."""
    kept: frozenset[Key]
    """They outlive it: by their own wish, because they are not ours, or because things of others are in them."""
    unconfirmed: tuple[Key, ...] = ()
    """Those of the waiting ones that want to be confirmed. Until they are, nothing goes."""


@dataclass(frozen=True)
class Survey:
    """What an application owns in its cluster, read and decided on; nothing is deleted yet."""

    reader: Reader | None
    seen: Mapping[Key, LiveSeen | None]
    found: _Found
    choice: _Choice

    unread: tuple[Key, ...] = ()
    """Of those that could not be read, the ones that wanted a confirmation when they were applied."""

    @property
    def unconfirmed(self) -> tuple[Key, ...]:
        """Objects that want their deletion confirmed."""
        return (*self.choice.unconfirmed, *self.unread)


def survey(edges: Edges, situation: Situation) -> Survey | None:
    """Read everything owned in a cluster; None if nothing is.

    A cluster that cannot be reached, or is not registered any more, is a survey that has failed: what can be deleted
    in others goes all the same.
    """
    owned = {key: row for key, row in situation.owned.items() if not is_child(key)}
    if not owned:
        return None
    try:
        reader = _reader(edges, situation, owned)
    except Failure as failure:
        nothing = _Choice((), {}, frozenset())
        return Survey(None, {}, _Found({}, (), (failure,)), nothing, _asking(situation, owned))
    found = _read(situation, reader, owned)
    choice, seen = _choose(situation, reader, owned, found)
    unread = {key: row for key, row in owned.items() if key not in seen and key not in found.vanished}
    return Survey(reader, seen, found, choice, _asking(situation, unread))


def _asking(situation: Situation, unread: Mapping[Key, ObjectRow]) -> tuple[Key, ...]:
    """Objects that nobody could read, and of which the inventory says that a person has to confirm their deletion."""
    if _confirmed(situation):
        return ()
    options = situation.app.sync_options
    return tuple(
        key for key, row in sorted(unread.items()) if protection("Delete", options, row.options or (), {}) == "confirm"
    )


def _confirmed(situation: Situation) -> bool:
    return approves(situation.app.annotations, Deletion.of(situation.row).at)


def delete_objects(edges: Edges, situation: Situation, made: Survey) -> str:
    """Ask for the deletion of everything owned that may go; what is left, in words, or empty once all is gone.

    Raises the Failure of the first object that could not be read or deleted; the others went all the same.
    """
    if made.reader is None:
        raise made.found.failed[0]
    propagation = "background" if situation.row.delete_mode == "background" else "foreground"
    failed = [*made.found.failed, *_delete(made.reader, made.choice, made.seen, propagation)]
    _record(edges, situation, {*made.found.gone, *made.choice.kept})
    if failed:
        raise failed[0]
    return _left(made.seen, made.choice)


def _reader(edges: Edges, situation: Situation, owned: Mapping[Key, ObjectRow]) -> Reader:
    if situation.cluster is None:
        raise Permanent(
            f"Application {situation.row.name}: its cluster is not registered any more; "
            "delete it with cascade=false to forget its objects"
        )
    cluster = edges.cluster(situation.cluster)
    reader = Reader(cluster, cluster.kinds(), edges.pool)
    if all(reader.kinds.knows(key.group_kind) for key in owned):
        return reader
    # A kind is gone with its CRD only if a fresh and complete discovery says so.
    return reader.renewed()


def _read(situation: Situation, reader: Reader, owned: Mapping[Key, ObjectRow]) -> _Found:
    """Read in the preferred version: the one that Git named may not be served any more."""
    known = [key for key in owned if reader.kinds.knows(key.group_kind)]
    unknown = [key for key in owned if not reader.kinds.knows(key.group_kind)]
    silent = [key for key in unknown if key.group in reader.kinds.broken]
    reads = reader.read(dict.fromkeys(known, ""))
    return _Found(
        seen={key: live_seen(body, situation.marks) for key, body in reads.found.items()},
        vanished=tuple(key for key in unknown if key not in silent),
        failed=(*reads.failed.values(), *(reader.unserved(key) for key in silent)),
    )


def _choose(
    situation: Situation, reader: Reader, owned: Mapping[Key, ObjectRow], found: _Found
) -> tuple[_Choice, Mapping[Key, LiveSeen | None]]:
    """What goes and what waits; what a namespace holds is counted once everything else is gone."""
    choice = _decide(situation, owned, found.seen)
    left = _standing(found.seen, choice)
    if not left or found.failed or not all(key in choice.held and key.kind == "Namespace" for key in left):
        return choice, found.seen
    # What a namespace holds now is of others.
    counted = {key: foreign_objects(reader, key.name) for key in left}
    seen = dict(found.seen)
    seen |= {key: replace(each, holds=counted[key]) for key in left if (each := seen[key]) is not None}
    return _decide(situation, owned, seen), seen


def _decide(situation: Situation, owned: Mapping[Key, ObjectRow], seen: Mapping[Key, LiveSeen | None]) -> _Choice:
    """Decide on every object that was read; of one that could not be read nothing is known."""
    given = PlanInput(
        wanted={},
        owned={key: owned_row(row) for key, row in owned.items() if key in seen},
        live=seen,
        options=PlanOptions(
            application=situation.row.name,
            prune=True,
            deleting=True,
            allow_empty=True,
            sync_options=situation.app.sync_options,
            confirmed=_confirmed(situation),
        ),
    )
    made = plan(given)
    going = [change.key for change in made.changes() if change.op is Op.PRUNE]
    held = {each.change.key: each.reason for each in made.held if not _holds_others(seen[each.change.key])}
    alive = {key for key, found in seen.items() if found is not None}
    unconfirmed = tuple(each.change.key for each in made.held if each.confirm)
    return _Choice(going, held, frozenset(alive - held.keys() - set(going)), unconfirmed)


def _holds_others(found: LiveSeen | None) -> bool:
    return found is not None and bool(found.holds)


def _standing(seen: Mapping[Key, LiveSeen | None], choice: _Choice) -> list[Key]:
    """Objects that are still there and are to go."""
    return [key for key, found in seen.items() if found is not None and key not in choice.kept]


def _delete(
    reader: Reader, choice: _Choice, seen: Mapping[Key, LiveSeen | None], propagation: str
) -> Sequence[Failure]:
    """Delete what may go; refusals, so that the others go all the same."""
    refusals: list[Failure] = []
    for key in choice.going:
        found, resource = seen[key], reader.resource(key)
        if found is None or found.deleting or resource is None:
            continue
        try:
            reader.cluster.delete(
                resource,
                key.namespace,
                key.name,
                uid=found.uid,
                resource_version=found.resource_version,
                propagation=propagation,
            )
        except ApiRefused as refused:
            # What changed meanwhile is looked at again.
            if refused.refusal is not Refusal.CONFLICT:
                refusals.append(refused)
    return refusals


def _record(edges: Edges, situation: Situation, released: set[Key]) -> None:
    """Narrow the inventory by what a GET has confirmed gone and by what outlives the application."""
    assert situation.cluster is not None
    keys = sorted(released)
    with edges.store.write() as db:
        objects.release_many(db, situation.uid, situation.row.id, keys)
        live.forget(db, situation.cluster.id, [key.id for key in keys])
        jobs.guard(db, situation.job)


def _left(seen: Mapping[Key, LiveSeen | None], choice: _Choice) -> str:
    """What is still there, in words for people; empty if nothing is."""
    left = _standing(seen, choice)
    if not left:
        return ""
    if all(key in choice.held for key in left):
        return f"{left[0]} waits for a person: {choice.held[left[0]]}"
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    return f"waiting for the deletion of {', '.join(str(key) for key in left[:3])}{more}"
