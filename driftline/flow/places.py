"""Where an application has objects besides its destination: the clusters that it was moved away from."""

from dataclasses import dataclass, replace

from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.store.objects import ObjectRow
from driftline.flow.situation import Situation
from driftline.model.application import Automated, Destination


@dataclass(frozen=True)
class Place:
    """One former cluster of an application. `cluster` is None if it is not registered any more."""

    uid: str
    cluster: ClusterRow | None
    rows: tuple[ObjectRow, ...]

    @property
    def name(self) -> str:
        return self.cluster.name if self.cluster else f"{self.uid} (not registered any more)"

    @property
    def trouble(self) -> str:
        """Why nothing can be done there, in words, or empty."""
        if self.cluster is None:
            return "it is not registered any more; register it again, and they are pruned"
        return f"it does not answer ({self.cluster.message})" if self.cluster.failing_since else ""


def places(situation: Situation) -> tuple[Place, ...]:
    """The former clusters in which objects are left."""
    known = {row.uid: row for row in situation.formers}
    uids = sorted({row.cluster_uid for row in situation.elsewhere})
    return tuple(
        Place(uid, known.get(uid), tuple(row for row in situation.elsewhere if row.cluster_uid == uid)) for uid in uids
    )


def conditions(situation: Situation) -> list[tuple[str, str]]:
    """What people are told of objects left behind, as pairs of Argo CD's conditions."""
    return [("FormerDestinationWarning", _told(each)) for each in places(situation)]


def _told(place: Place) -> str:
    more = f" and {len(place.rows) - 1} more" if len(place.rows) > 1 else ""
    what = f"{place.rows[0].key}{more}: left in cluster {place.name}, a former destination"
    return f"{what}; {place.trouble}" if place.trouble else f"{what}; a sync with prune deletes what is left there"


def situation_there(situation: Situation, place: Place) -> Situation:
    """The application's situation as if the former cluster were its destination, with nothing of the declaration's."""
    app = replace(situation.app, destination=Destination(), automated=Automated(prune=True, allow_empty=True))
    rows = {row.key: row for row in place.rows}
    return replace(situation, app=app, cluster=place.cluster, owned=rows, elsewhere=(), formers=(), live={})


def everywhere(situation: Situation) -> tuple[Situation, ...]:
    """The situation in the destination, and in each former cluster, for a deletion that takes all of it."""
    app = situation.app
    there = [replace(situation_there(situation, each), app=app) for each in places(situation)]
    return (situation, *there)
