"""Follows the objects of kinds without polling, and loses none between two connections. Called by the watch process."""

import logging
import random
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from driftline.adapters.cluster.cluster import Cluster
from driftline.adapters.cluster.refusals import UNASKED, Expired
from driftline.adapters.cluster.watching import Event, Events, Happened
from driftline.model.cluster import ApiRefused, Refusal, Resource
from driftline.model.errors import Failure, Temporary
from driftline.model.objects import Key, Object, key_of

TIMEOUT = 300
"""Seconds that the API server is asked to keep one watch; a fifth more or less, so that they do not end together."""
RELIST = 3600.0
"""Seconds after which everything is listed again, in case an event was never sent."""
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Selection:
    """What one reflector follows: a kind in one version, everywhere or in one namespace, with a label or all."""

    resource: Resource
    namespace: str = ""
    label_selector: str = ""


class Sink(Protocol):
    """Hears what a reflector sees, from its thread, one call at a time. If it raises, everything is told again."""

    def upserts(self, selection: Selection, objects: Sequence[Object]) -> None:
        """These are there, in this state. After a new listing, unchanged ones are told too."""

    def left(self, selection: Selection, keys: Sequence[Key]) -> None:
        """These are no longer selected: deleted, or without our label. Only a GET by name tells which."""

    def synced(self, selection: Selection) -> None:
        """All that was there has been told; from now on each change is told as it happens."""

    def failed(self, selection: Selection, failure: Failure) -> None:
        """It could not be followed just now, and is tried again: what is known of it ages."""


@dataclass(frozen=True, slots=True)
class State:
    """How fresh a reflector is. `heard` is when the API server last said anything, a bookmark included."""

    synced: bool = False
    heard: datetime | None = None
    failure: Failure | None = None


class Reflector:
    """Follows one selection in a thread of its own, from `start` to `stop`.

    `known`: the keys that the sink already has, so that what vanished while nobody watched is told as `left`.
    """

    def __init__(self, cluster: Cluster, selection: Selection, sink: Sink, known: Iterable[Key] = ()) -> None:
        self.selection = selection
        self._cluster = cluster
        self._sink = sink
        self._known = set(known)
        self._version = ""
        self._streams = True
        self._unfinished = 0
        self._failures = 0
        self._relist_at = 0.0
        self._state = State()
        self._stopping = threading.Event()
        self._events: Events | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch {selection.resource.plural}", daemon=True)

    @property
    def state(self) -> State:
        return self._state

    def start(self) -> None:
        self._thread.start()

    def stop(self, wait: float = 5.0) -> None:
        """End it, also while it waits for an event. Returns when the thread is gone or after `wait` seconds."""
        self._stopping.set()
        if (events := self._events) is not None:
            events.close()
        self._thread.join(wait)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._once()
            except Expired:
                self._version = ""
            except Failure as failure:
                self._failed(failure)
            except Exception:
                # The sink's database was away, perhaps. What it missed is told again by a new listing.
                _log.exception("watch of %s: what it saw could not be taken in", self.selection.resource.plural)
                self._version = ""
                self._failed(Temporary(f"{self.selection.resource.kind}: what its watch saw could not be taken in"))

    def _once(self) -> None:
        """One connection: list if that is due, then follow until it ends."""
        if self._version and time.monotonic() < self._relist_at:
            self._follow(initial=False)
        elif self._streams:
            self._follow(initial=True)
        else:
            self._list()

    def _list(self) -> None:
        """List in pages, where the API server cannot stream (before Kubernetes 1.32, or aggregated APIs)."""
        chosen = self.selection
        listing = self._cluster.list(chosen.resource, chosen.namespace, chosen.label_selector)
        self._tell(listing.items)
        self._complete({key_of(item) for item in listing.items}, listing.resource_version)

    def _follow(self, initial: bool) -> None:
        chosen = self.selection
        with self._cluster.listing_place(initial) as place:
            try:
                events = self._cluster.watch(
                    chosen.resource,
                    chosen.namespace,
                    chosen.label_selector,
                    resource_version="" if initial else self._version,
                    initial=initial,
                    timeout=int(TIMEOUT * random.uniform(0.8, 1.2)),  # noqa: S311  (jitter, not a secret)
                )
            except ApiRefused as refused:
                if initial and refused.refusal is Refusal.INVALID:
                    self._streams = False
                    return
                raise
            self._events = events
            if self._stopping.is_set():
                events.close()
            listed: set[Key] | None = set() if initial else None
            for batch in events.batches():
                ended = self._take(batch, listed)
                if ended:
                    listed = None
                    place.leave()
                if listed is None and time.monotonic() > self._relist_at:
                    events.close()
        self._ended(unfinished=listed is not None)

    def _ended(self, unfinished: bool) -> None:
        """A stream that ends before it sent all comes from a server that shuts down, or one that cannot stream."""
        self._unfinished = self._unfinished + 1 if unfinished else 0
        if unfinished and not self._stopping.is_set():
            self._streams = self._unfinished < 3
            self._wait()

    def _take(self, batch: Sequence[Event], listed: set[Key] | None) -> bool:
        """Tell the sink of a batch, in order. True if it completed the initial listing, whose keys are in `listed`."""
        ended = False
        run: list[Event] = []
        for event in batch:
            if event.happened in (Happened.UPSERT, Happened.LEFT):
                if run and run[-1].happened is not event.happened:
                    self._tell_run(run, listed)
                    run = []
                run.append(event)
            elif event.happened is Happened.INITIAL_END and listed is not None:
                self._tell_run(run, listed)
                run = []
                self._complete(listed, event.resource_version)
                listed, ended = None, True
        self._tell_run(run, listed)
        if listed is None and batch:
            self._version = batch[-1].resource_version or self._version
        self._heard()
        return ended

    def _tell_run(self, run: Sequence[Event], listed: set[Key] | None) -> None:
        """Tell of consecutive events that are all upserts, or all departures."""
        if not run:
            return
        keys = [key_of(event.object) for event in run]
        if run[0].happened is Happened.UPSERT:
            self._tell([event.object for event in run])
            if listed is not None:
                listed.update(keys)
        else:
            self._sink.left(self.selection, keys)
            self._known.difference_update(keys)
            if listed is not None:
                listed.difference_update(keys)

    def _tell(self, objects: Sequence[Object]) -> None:
        if objects:
            self._sink.upserts(self.selection, objects)
            self._known.update(key_of(item) for item in objects)

    def _complete(self, listed: set[Key], version: str) -> None:
        """Everything there is was told: what is known and was not among it has left."""
        if gone := sorted(self._known - listed):
            self._sink.left(self.selection, gone)
        self._known = set(listed)
        self._version = version
        self._relist_at = time.monotonic() + RELIST * random.uniform(0.9, 1.1)  # noqa: S311  (jitter, not a secret)
        self._sink.synced(self.selection)
        self._state = State(synced=True, heard=datetime.now(UTC))

    def _heard(self) -> None:
        self._failures = 0
        self._state = State(self._state.synced, datetime.now(UTC))

    def _failed(self, failure: Failure) -> None:
        if self._stopping.is_set():
            return
        self._state = State(self._state.synced, self._state.heard, failure)
        try:
            self._sink.failed(self.selection, failure)
        except Exception:
            _log.exception("watch of %s: its failure could not be recorded", self.selection.resource.plural)
        # A refusal is tried again as soon: an API server that has just started refuses what it will soon allow.
        asked = failure.delay if isinstance(failure, Temporary) and failure.delay != UNASKED else timedelta()
        self._wait(asked.total_seconds())

    def _wait(self, least: float = 0.0) -> None:
        """Wait longer after each failure in a row; the jitter keeps many watches from coming back together."""
        delay = min(_FIRST_WAIT * 2**self._failures, _LONGEST_WAIT)
        self._failures = min(self._failures + 1, 10)
        self._stopping.wait(max(least, delay) * random.uniform(0.5, 1.5))  # noqa: S311  (jitter, not a secret)


class Reflectors:
    """Many reflectors on one cluster, one thread each; idle, a thread and its connection cost about 100 KiB."""

    def __init__(self, cluster: Cluster, sink: Sink) -> None:
        self._cluster = cluster
        self._sink = sink
        self._running: dict[Selection, Reflector] = {}

    def follow(self, wanted: Iterable[Selection], known: Mapping[Selection, Iterable[Key]] | None = None) -> None:
        """Follow exactly these from now on: start the new ones, with the keys that the sink knows, and stop others."""
        selections = set(wanted)
        self._stop([selection for selection in self._running if selection not in selections])
        for selection in selections - self._running.keys():
            reflector = Reflector(self._cluster, selection, self._sink, (known or {}).get(selection, ()))
            self._running[selection] = reflector
            reflector.start()

    def states(self) -> Mapping[Selection, State]:
        """How fresh each is now."""
        return {selection: reflector.state for selection, reflector in self._running.items()}

    def stop(self) -> None:
        """End all of them."""
        self._stop(list(self._running))

    def _stop(self, selections: Iterable[Selection]) -> None:
        ending = [self._running.pop(selection) for selection in selections]
        for reflector in ending:
            reflector.stop(wait=0)
        for reflector in ending:
            reflector.stop()
