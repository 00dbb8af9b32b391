"""Following objects of a real API server through everything that ends a watch."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from deploy.localcluster.localcluster import LocalCluster
from driftline.adapters.cluster import reflector as module
from driftline.adapters.cluster import watching
from driftline.adapters.cluster.cluster import Cluster, connect
from driftline.adapters.cluster.reflector import Reflector, Reflectors, Selection
from driftline.adapters.settings import Settings
from driftline.model.cluster import ApiRefused, ClusterUnreachable
from driftline.model.errors import Failure
from driftline.model.objects import Key, Object, key_of
from tests.cluster.shapes import CONFIG_MAPS, config_map
from tests.kit.apiproxy import ApiProxy
from tests.kit.cluster import Hands, access, eventually, hands, new_namespace, own_cluster, random_name

EXPIRED = {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410, "message": "too old"}


class Notes:
    """A sink that writes down what it heard, and holds what it believes to be there."""

    def __init__(self) -> None:
        self.there: dict[str, Object] = {}
        self.told: list[str] = []
        self.failures: list[Failure] = []
        self.syncs = 0
        self.trouble: Exception | None = None

    def upserts(self, selection: Selection, objects: Sequence[Object]) -> None:
        if self.trouble:
            trouble, self.trouble = self.trouble, None
            raise trouble
        for body in objects:
            self.there[key_of(body).name] = body
            self.told.append(f"there {key_of(body).name}")

    def left(self, selection: Selection, keys: Sequence[Key]) -> None:
        for key in keys:
            self.there.pop(key.name, None)
            self.told.append(f"left {key.name}")

    def synced(self, selection: Selection) -> None:
        self.syncs += 1

    def failed(self, selection: Selection, failure: Failure) -> None:
        self.failures.append(failure)

    def value(self, name: str = "settings") -> Any:
        return (self.there.get(name) or {}).get("data", {}).get("colour")


Follow = Callable[..., Reflector]


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def selection(namespace: str) -> Selection:
    return Selection(CONFIG_MAPS, namespace, "ours=yes")


@pytest.fixture
def follow(notes: Notes, selection: Selection) -> Iterator[Follow]:
    """Start a reflector and wait until it has synced; it is stopped after the test."""
    running: list[Reflector] = []

    def start(cluster: Cluster, known: Sequence[Key] = (), wait: bool = True) -> Reflector:
        one = Reflector(cluster, selection, notes, known)
        running.append(one)
        one.start()
        if wait:
            eventually(lambda: notes.syncs)
        return one

    yield start
    for one in running:
        one.stop()


def ours(namespace: str, name: str = "settings", **data: str) -> Object:
    body = config_map(namespace, name, **data)
    body["metadata"]["labels"] = {"ours": "yes"}
    return body


def paint(by_hand: Hands, namespace: str, colour: str, name: str = "settings") -> None:
    by_hand.merge_patch("v1/configmaps", namespace, name, {"data": {"colour": colour}})


def test_a_hand_edit_is_seen_within_a_tenth_of_a_second(
    cluster: Cluster, namespace: str, notes: Notes, follow: Follow, by_hand: Hands
) -> None:
    cluster.apply(CONFIG_MAPS, ours(namespace))
    follow(cluster)
    assert notes.value() == "green"
    delays = []
    for number in range(5):
        paint(by_hand, namespace, f"c{number}")
        began = time.monotonic()
        while notes.value() != f"c{number}":
            time.sleep(0.001)
            assert time.monotonic() - began < 5
        delays.append(time.monotonic() - began)
    assert sorted(delays)[2] < 0.1
    assert notes.failures == []


def test_unlabelled_and_deleted_look_the_same_and_only_a_get_tells(
    cluster: Cluster, namespace: str, notes: Notes, follow: Follow, by_hand: Hands
) -> None:
    for name in ("unlabelled", "deleted"):
        cluster.apply(CONFIG_MAPS, ours(namespace, name))
    follow(cluster)
    patch = {"metadata": {"labels": None}, "data": {"colour": "red"}}
    by_hand.merge_patch("v1/configmaps", namespace, "unlabelled", patch)
    by_hand.delete("v1/configmaps", namespace, "deleted")
    eventually(lambda: not notes.there)
    assert notes.told[-2:] == ["left unlabelled", "left deleted"]
    live = cluster.get(CONFIG_MAPS, namespace, "unlabelled")
    assert live is not None and live["data"] == {"colour": "red"}
    assert cluster.get(CONFIG_MAPS, namespace, "deleted") is None


def test_what_vanished_while_nobody_watched_is_told_at_the_start(
    cluster: Cluster, namespace: str, notes: Notes, follow: Follow
) -> None:
    cluster.apply(CONFIG_MAPS, ours(namespace))
    gone = Key("", "ConfigMap", namespace, "gone")
    follow(cluster, known=[gone, Key("", "ConfigMap", namespace, "settings")])
    assert notes.told == ["there settings", "left gone"]


def test_the_start_streams_and_needs_no_list(
    distant: Cluster, proxy: ApiProxy, namespace: str, notes: Notes, follow: Follow
) -> None:
    for number in range(30):
        distant.apply(CONFIG_MAPS, ours(namespace, f"c{number}"))
    proxy.requests.clear()
    follow(distant)
    assert len(notes.there) == 30
    [(_, path, _)] = proxy.requests
    assert "sendInitialEvents=true" in path and "timeoutSeconds=" in path and "labelSelector=ours" in path


def test_an_api_server_that_cannot_stream_is_listed(
    distant: Cluster, proxy: ApiProxy, namespace: str, notes: Notes, follow: Follow, by_hand: Hands
) -> None:
    refusal = {"kind": "Status", "reason": "Invalid", "code": 422, "message": "sendInitialEvents is forbidden"}
    proxy.fail("GET", "sendInitialEvents", 422, body=refusal, times=1000)
    distant.apply(CONFIG_MAPS, ours(namespace))
    follow(distant)
    assert notes.value() == "green"
    paint(by_hand, namespace, "blue")
    eventually(lambda: notes.value() == "blue")
    assert proxy.count("GET", "limit=500") == 1
    assert notes.failures == []


def test_an_expired_watch_lists_again_and_misses_nothing(
    distant: Cluster, proxy: ApiProxy, namespace: str, notes: Notes, follow: Follow, by_hand: Hands
) -> None:
    for name in ("stays", "goes"):
        distant.apply(CONFIG_MAPS, ours(namespace, name))
    follow(distant)
    proxy.fail("GET", "watch=true.*resourceVersion=", 410, body=EXPIRED)
    proxy.silent.set()
    by_hand.delete("v1/configmaps", namespace, "goes")
    paint(by_hand, namespace, "blue", "stays")
    proxy.cut()
    proxy.silent.clear()
    eventually(lambda: notes.syncs == 2)
    assert list(notes.there) == ["stays"]
    assert notes.value("stays") == "blue"
    assert notes.told[-1] == "left goes"


def test_an_expiry_inside_the_stream_lists_again(
    distant: Cluster, proxy: ApiProxy, namespace: str, notes: Notes, follow: Follow, by_hand: Hands
) -> None:
    distant.apply(CONFIG_MAPS, ours(namespace))
    event = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'
    proxy.fail("GET", "watch=true.*resourceVersion=", 200, body=event)
    follow(distant)
    proxy.cut()
    eventually(lambda: notes.syncs == 2)


def test_cut_connections_resume_where_they_were(
    distant: Cluster, proxy: ApiProxy, namespace: str, notes: Notes, follow: Follow, by_hand: Hands
) -> None:
    distant.apply(CONFIG_MAPS, ours(namespace))
    follow(distant)
    for number in range(5):
        proxy.cut()
        paint(by_hand, namespace, f"c{number}")
        eventually(lambda number=number: notes.value() == f"c{number}")  # type: ignore[misc]
    assert notes.syncs == 1  # no new listing was needed
    assert all(isinstance(failure, ClusterUnreachable) for failure in notes.failures)


def test_a_half_open_connection_is_noticed(
    distant: Cluster,
    proxy: ApiProxy,
    namespace: str,
    notes: Notes,
    follow: Follow,
    by_hand: Hands,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "IDLE", 0.7)
    distant.apply(CONFIG_MAPS, ours(namespace))
    follow(distant)
    proxy.silent.set()
    paint(by_hand, namespace, "blue")
    eventually(lambda: any("no answer within the time" in str(failure) for failure in notes.failures))
    assert notes.value() == "green"
    proxy.silent.clear()
    eventually(lambda: notes.value() == "blue")


def test_overload_and_errors_are_retried_ever_more_slowly(
    distant: Cluster, proxy: ApiProxy, namespace: str, notes: Notes, follow: Follow
) -> None:
    distant.apply(CONFIG_MAPS, ours(namespace))
    busy = {"kind": "Status", "reason": "TooManyRequests", "code": 429}
    proxy.fail("GET", "watch=true", 429, body=busy, headers={"Retry-After": "1"}, times=2)
    proxy.fail("GET", "watch=true", 503, body=b"no", times=2)
    follow(distant)
    assert len(notes.failures) == 4
    assert notes.value() == "green"


def test_everything_is_listed_again_now_and_then(
    distant: Cluster,
    proxy: ApiProxy,
    namespace: str,
    notes: Notes,
    follow: Follow,
    by_hand: Hands,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RELIST", 0.3)
    distant.apply(CONFIG_MAPS, ours(namespace))
    follow(distant)

    def edited_and_listed() -> bool:
        paint(by_hand, namespace, random_name("c"))  # an event gives the occasion, as a bookmark does
        return notes.syncs >= 3

    eventually(edited_and_listed)
    assert notes.failures == []


def test_what_the_sink_could_not_take_in_is_told_again(
    cluster: Cluster, namespace: str, notes: Notes, follow: Follow, by_hand: Hands
) -> None:
    cluster.apply(CONFIG_MAPS, ours(namespace))
    follow(cluster)
    notes.trouble = RuntimeError("the database is away")
    paint(by_hand, namespace, "blue")
    eventually(lambda: notes.value() == "blue")
    assert notes.syncs == 2
    assert "RuntimeError" not in str(notes.failures[0])


def test_a_kind_that_is_not_served_is_a_failure_and_not_an_absence(cluster: Cluster, namespace: str) -> None:
    from dataclasses import replace

    notes = Notes()
    known = Key("nowhere.example.com", "ConfigMap", namespace, "settings")
    absent = Selection(replace(CONFIG_MAPS, group="nowhere.example.com"), namespace)
    following = Reflector(cluster, absent, notes, [known])
    following.start()
    [failure] = eventually(lambda: notes.failures)
    following.stop()
    assert isinstance(failure, ApiRefused)
    assert following.state.failure is failure
    assert notes.told == [] and not following.state.synced


def test_it_can_be_stopped_while_it_waits(cluster: Cluster, notes: Notes, follow: Follow) -> None:
    following = follow(cluster)
    assert following.state.synced and following.state.heard is not None
    began = time.monotonic()
    following.stop()
    assert time.monotonic() - began < 0.5
    assert not any(thread.name == "watch configmaps" for thread in threading.enumerate() if thread.is_alive())
    assert notes.failures == []


def test_reflectors_follow_exactly_what_is_wanted(cluster: Cluster, namespace: str, by_hand: Hands) -> None:
    notes = Notes()
    kinds = cluster.kinds()
    wanted = [
        Selection(resource, namespace)
        for kind in ("ConfigMap", "Secret", "Service", "ServiceAccount")
        if (resource := kinds.find("", kind))
    ]
    reflectors = Reflectors(cluster, notes)
    try:
        reflectors.follow(wanted)
        eventually(lambda: all(state.synced for state in reflectors.states().values()))
        reflectors.follow(wanted[:1])
        assert list(reflectors.states()) == wanted[:1]
        by_hand.create("v1/configmaps", namespace, config_map(namespace))
        eventually(lambda: "settings" in notes.there)
    finally:
        reflectors.stop()
    assert notes.failures == [] and not reflectors.states()


@pytest.fixture(scope="module")
def mine() -> LocalCluster:
    """A control plane that this module may stop."""
    return own_cluster(controllers=False)


def test_a_restart_of_the_api_server_is_survived(mine: LocalCluster, settings: Settings) -> None:
    namespace, by_hand, notes = new_namespace(mine), hands(mine), Notes()
    cluster = connect(access(mine), settings)
    cluster.apply(CONFIG_MAPS, ours(namespace))
    following = Reflector(cluster, Selection(CONFIG_MAPS, namespace, "ours=yes"), notes)
    following.start()
    eventually(lambda: notes.syncs)
    mine.stop_api_server()
    eventually(lambda: notes.failures)
    assert notes.value() == "green" and "left settings" not in notes.told
    mine.start_api_server()
    paint(by_hand, namespace, "blue")
    eventually(lambda: notes.value() == "blue", patience=40)
    following.stop()
    assert "left settings" not in notes.told
