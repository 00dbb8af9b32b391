"""`driftline watch`: sees changes of managed objects within a moment, without polling. One process per set of clusters.

It follows each kind that some application owns, by our installation's label, and hands on what it sees in batches:
the first event of a quiet spell at once, what follows within 100 ms together. Leases in the database spread clusters
over several such processes; two holders do no harm.
"""

import gc
import signal
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta

from driftline.adapters import metrics
from driftline.adapters.cluster.reflector import Reflectors, Selection, Sink
from driftline.adapters.settings import read_settings
from driftline.adapters.store import clusters, hooks, objects
from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.store.objects import WatchedKind
from driftline.flow import observe
from driftline.flow.assemble import close_edges, edges_of_this_process
from driftline.flow.edges import Edges
from driftline.flow.observe import Seen
from driftline.model.cluster import Kinds
from driftline.model.errors import Failure
from driftline.model.marks import INSTALLATION_LABEL
from driftline.model.objects import Key, Object, group_of, key_of, version_of

LEASE = timedelta(seconds=20)
LOOK = 0.5
"""Seconds between two looks for new clusters and kinds."""
RENEW = 5.0
TOGETHER = 0.1
"""Seconds that events of a busy spell are gathered."""
MOST = 1000
"""Events in one transaction."""


class Gatherer(Sink):
    """Takes events of all kinds of one cluster and hands them on in batches, the latest of each object."""

    def __init__(self, edges: Edges, row: ClusterRow) -> None:
        self.row = row
        self._edges = edges
        self._waiting: dict[Key, Object | None] = {}
        self._lock = threading.Condition()
        self._stopping = False
        self._stuck = False
        self._thread = threading.Thread(target=self._run, name=f"gather {row.name}", daemon=True)
        self._thread.start()

    @property
    def failing(self) -> bool:
        """Whether what was seen last could not be recorded yet."""
        return self._stuck

    def upserts(self, selection: Selection, objects: Sequence[Object]) -> None:
        with self._lock:
            self._waiting.update((key_of(body), body) for body in objects)
            self._lock.notify()

    def left(self, selection: Selection, keys: Sequence[Key]) -> None:
        with self._lock:
            self._waiting.update(dict.fromkeys(keys))
            self._lock.notify()

    def synced(self, selection: Selection) -> None:
        self._edges.log.info("kind watched", cluster=self.row.name, kind=selection.resource.plural)

    def failed(self, selection: Selection, failure: Failure) -> None:
        kind = selection.resource.plural
        self._edges.log.warning("kind not watched", cluster=self.row.name, kind=kind, reason=failure.message)

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
            self._lock.notify()
        self._thread.join(5)

    def _run(self) -> None:
        quiet_since = 0.0
        while True:
            with self._lock:
                while not self._waiting and not self._stopping:
                    self._lock.wait()
                if self._stopping and not self._waiting:
                    return
            if time.monotonic() - quiet_since < TOGETHER:
                time.sleep(TOGETHER)
            with self._lock:
                batch = dict(list(self._waiting.items())[:MOST])
                for key in batch:
                    del self._waiting[key]
            self._hand_on(batch)
            quiet_since = time.monotonic()

    def _hand_on(self, batch: dict[Key, Object | None]) -> None:
        try:
            observe.observe(self._edges, self.row, [Seen(key, body) for key, body in batch.items()])
            self._stuck = False
        except Failure as failure:
            # Kept for the next batch, unless something newer has come: a database that is away loses nothing.
            self._stuck = True
            self._edges.log.warning("events wait", cluster=self.row.name, reason=failure.message)
            with self._lock:
                self._waiting = {**batch, **self._waiting}
            time.sleep(0.5)
        except Exception as error:
            self._edges.report(error)
            self._one_by_one(batch)

    def _one_by_one(self, batch: dict[Key, Object | None]) -> None:
        """Hand on what can be; an object that nobody can digest must not keep the others back."""
        if len(batch) > 1:
            for key, body in batch.items():
                self._hand_on({key: body})
            return
        for key in batch:
            self._edges.log.error("event dropped", cluster=self.row.name, object=str(key))


class ClusterWatch:
    """The watches of one cluster, grown and shrunk with the kinds that applications own there."""

    def __init__(self, edges: Edges, row: ClusterRow) -> None:
        self.row = row
        self._edges = edges
        self._cluster = edges.cluster(row)
        self._gatherer = Gatherer(edges, row)
        self._reflectors = Reflectors(self._cluster, self._gatherer)

    def follow(self) -> None:
        """Watch every kind that is owned now, and those of hooks that a sync waits for."""
        with self._edges.store.read() as db:
            kinds = objects.by_kinds(db, self.row.uid)
            running = hooks.awaited(db, self.row.id)
        served = self._cluster.kinds()
        wanted = {}
        kinds += _kinds_of(running, served)
        for kind in kinds:
            resource = served.find(group_of(kind.api_version), kind.kind, version_of(kind.api_version))
            if resource is not None and "watch" in resource.verbs:
                label = f"{INSTALLATION_LABEL}={self._edges.installation}"
                wanted[Selection(resource, "", label)] = kind
        fresh = [each for each in wanted if each not in self._reflectors.states()]
        known: dict[Selection, list[Key]] = {}
        if fresh:
            with self._edges.store.read() as db:
                for each in fresh:
                    rows = objects.of_kind(db, self.row.uid, wanted[each])
                    known[each] = [row.key for row in rows.values() if row.uid]
        self._reflectors.follow(wanted, known)

    def healthy(self) -> bool:
        """Whether everything is followed, and the API server was heard of lately."""
        states = self._reflectors.states().values()
        return not self._gatherer.failing and all(each.synced and each.failure is None for each in states)

    def stop(self) -> None:
        self._reflectors.stop()
        self._gatherer.stop()


def _kinds_of(key_ids: Iterable[str], served: Kinds) -> list[WatchedKind]:
    """The kinds of some objects, in the versions that the cluster prefers."""
    found = {(key.group, key.kind): served.find(key.group, key.kind) for key in map(Key.parse, key_ids)}
    return [WatchedKind(*kind, resource.api_version) for kind, resource in found.items() if resource is not None]


class Watcher:
    """Leases clusters and watches them until told to stop."""

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self._watches: dict[int, ClusterWatch] = {}
        self._stopping = threading.Event()
        self._renewed = 0.0

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        while not self._stopping.is_set():
            try:
                self._round()
            except Failure as failure:
                self._edges.log.warning("watch waits", reason=failure.message)
            except Exception as error:
                self._edges.log.exception("watch round failed")
                self._edges.report(error)
            self._stopping.wait(LOOK)
        self._end()

    def _round(self) -> None:
        if time.monotonic() - self._renewed > RENEW:
            self._renew()
            self._renewed = time.monotonic()
        for watch in list(self._watches.values()):
            try:
                watch.follow()
            except Failure as failure:
                self._edges.log.warning("cluster not watched", cluster=watch.row.name, reason=failure.message)

    def _renew(self) -> None:
        with self._edges.store.read() as db:
            rows = [row for row in clusters.everything(db) if row.uid]
        mine: set[int] = set()
        for row in rows:
            with self._edges.store.write() as db:
                held = clusters.take_watch(db, row.id, self._edges.owner, LEASE)
                watch = self._watches.get(row.id)
                if held and watch is not None and watch.healthy():
                    clusters.set_bookmark(db, row.id, self._edges.owner)
            if not held:
                continue
            mine.add(row.id)
            try:
                self._follow(row)
            except Failure as failure:
                self._edges.log.warning("cluster not watched", cluster=row.name, reason=failure.message)
        for number in self._watches.keys() - mine:
            self._watches.pop(number).stop()

    def _follow(self, row: ClusterRow) -> None:
        """Watch a cluster that is ours now, anew if it is reached in another way than before."""
        known = self._watches.get(row.id)
        wanted = (row.server, row.access, row.uid)
        if known is not None and (known.row.server, known.row.access, known.row.uid) == wanted:
            return
        if known is not None:
            self._watches.pop(row.id).stop()
        self._watches[row.id] = ClusterWatch(self._edges, row)

    def _end(self) -> None:
        for watch in self._watches.values():
            watch.stop()
            with self._edges.store.write() as db:
                clusters.release_watch(db, watch.row.id, self._edges.owner)
        close_edges()


def main() -> None:
    """Run until told to stop."""
    metrics.setup(read_settings().data_dir / "metrics", "watch")
    edges = edges_of_this_process("watch")
    gc.freeze()
    Watcher(edges).run()
