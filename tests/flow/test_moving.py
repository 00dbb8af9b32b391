"""An application that is moved to another cluster: what it left in the former one is told, pruned, or waits."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from deploy.localcluster.localcluster import LocalCluster
from driftline.adapters.store import jobs
from driftline.flow import inspect, operate, registry
from driftline.flow.operate import SyncRequest
from driftline.flow.subjects import app_request
from driftline.model.access import ClusterAccess
from tests.flow.installation import Installation, config, manifests
from tests.kit.apiproxy import ApiProxy
from tests.kit.cluster import access, eventually, new_namespace

IDENTITY = r"^/api/v1/namespaces/kube-system$"


@dataclass
class Move:
    """An application's way from the cluster `old`, namespace `before`, to `in-cluster`.

    There is one control plane; through the proxy it claims to be another cluster.
    """

    here: Installation
    proxy: ApiProxy
    before: str
    name: str = ""

    def deploy(self, **more: object) -> None:
        there = {"name": "old", "namespace": self.before}
        self.name = self.here.declare(destination=there, **more)  # type: ignore[arg-type]
        self.here.hurry(2)
        assert self.here.status(self.name) == ("Synced", "Healthy")

    def move(self, **more: object) -> None:
        self.here.declare(self.name, upsert=True, **more)  # type: ignore[arg-type]
        self.here.settle()

    def old(self, name: str) -> object:
        return self.here.hands.get("v1/configmaps", self.before, name)

    def left(self) -> str:
        return self.here.conditions(self.name).get("FormerDestinationWarning", "")


@pytest.fixture
def move(here: Installation, local: LocalCluster, proxy: ApiProxy) -> Iterator[Move]:
    uid = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "kube-system", "uid": "another-cluster"}}
    proxy.fail("GET", IDENTITY, 200, body=uid, times=10**6)
    given = access(local, server=proxy.url)
    registry.add_cluster(here.edges, ClusterAccess("old", proxy.url, given.kubeconfig), "dana")
    before = new_namespace(local, "flow-old")
    yield Move(here, proxy, before)
    here.hands.delete("v1/namespaces", "", before)


def test_what_is_left_in_the_former_cluster_is_pruned_once_the_new_place_is_well(move: Move) -> None:
    here = move.here
    here.push({"app/all.yaml": manifests(config("one", a="1"), config("two", a="1"))})
    move.deploy()
    here.hands.create("v1/configmaps", move.before, {"metadata": {"name": "foreign"}})
    move.move()
    assert here.config("one") is not None, "the new place is there"

    def pruned() -> bool:
        here.hurry(1)
        return here.status(move.name) == ("Synced", "Healthy")

    eventually(pruned, 20)
    assert move.old("one") is None and move.old("two") is None
    assert move.old("foreign") is not None
    assert [kind for kind, _ in here.phases(move.name)] == ["former", "git", "git"]
    assert here.status(move.name) == ("Synced", "Healthy") and move.left() == ""
    assert here.owned(move.name) == {f"/ConfigMap/{here.namespace}/{name}" for name in ("one", "two")}
    assert [node.cluster for node in inspect.tree(here.edges, move.name)] == ["", ""]


def test_without_prune_it_is_told_with_its_cluster_until_a_person_prunes(move: Move) -> None:
    here = move.here
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    move.deploy(automated={})
    move.move(automated={})
    here.hurry(3)
    assert move.old("one") is not None and here.config("one") is not None
    assert here.status(move.name) == ("OutOfSync", "Healthy")
    assert "left in cluster old, a former destination; a sync with prune" in move.left()
    nodes = {node.cluster: (node.sync_status, node.prune) for node in inspect.tree(here.edges, move.name)}
    assert nodes == {"": ("Synced", False), "old": ("OutOfSync", True)}
    operate.request_sync(here.edges, move.name, SyncRequest(prune=True), "dana")
    here.hurry(4)
    assert move.old("one") is None
    assert here.status(move.name) == ("Synced", "Healthy") and move.left() == ""


def test_a_former_cluster_that_does_not_answer_keeps_nobody_waiting(move: Move) -> None:
    here = move.here
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    move.deploy()
    away = move.proxy.fail("GET", ".", 503, times=10**6)
    move.proxy.faults.insert(0, move.proxy.faults.pop())
    move.move()
    here.hurry(3)
    assert here.config("one") is not None
    assert here.status(move.name)[0] == "OutOfSync"
    assert "it does not answer" in move.left(), move.left()
    here.push({"app/all.yaml": manifests(config("one", a="2"))})
    here.fetch()
    here.hurry(2)
    found = here.config("one")
    assert found is not None and found["data"] == {"a": "2"}, "the new place goes on"
    away.times = 0
    here.clock.ahead += timedelta(minutes=1)
    here.hurry(4)
    assert move.old("one") is None
    assert here.status(move.name) == ("Synced", "Healthy")


def test_a_prune_that_a_former_cluster_refuses_is_tried_again_by_itself(move: Move) -> None:
    here = move.here
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    move.deploy()
    words = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "a policy says no"}
    refused = move.proxy.fail("DELETE", f"{move.before}/configmaps/one", 403, body=words, times=10**6)
    move.proxy.faults.insert(0, move.proxy.faults.pop())
    move.move()

    def tried() -> bool:
        here.settle()
        return here.phases(move.name)[0][0] == "former" or not here.make_due()

    eventually(tried, 30)
    assert [kind for kind, _ in here.phases(move.name)].count("former") == 1, "not again and again"
    subject = app_request(here.app(move.name).id).subject
    with here.store.read() as db:
        waiting = jobs.open_jobs(db, "app", [subject])
    assert subject in waiting and waiting[subject].run_at <= here.clock() + timedelta(minutes=6)
    refused.times = 0

    def pruned() -> bool:
        here.hurry(1)
        return here.status(move.name) == ("Synced", "Healthy")

    eventually(pruned, 20)
    assert move.old("one") is None


def test_confirmation_is_asked_for_in_the_former_cluster_as_well(move: Move) -> None:
    here = move.here
    asking = config("one", a="1")
    asking["metadata"]["annotations"] = {"argocd.argoproj.io/sync-options": "Prune=confirm"}
    here.push({"app/all.yaml": manifests(asking)})
    move.deploy()
    move.move()
    here.hurry(3)
    assert here.phases(move.name)[0] == ("former", "Held") and move.old("one") is not None
    here.hands.merge_patch("v1/configmaps", here.namespace, "one", {"data": {"a": "by hand"}})
    here.look(move.name, fresh=True)
    here.hurry(4)
    one = here.config("one")
    assert one is not None and one["data"] == {"a": "1"}, "the new place is looked after meanwhile"
    assert here.phases(move.name)[:2] == [("former", "Held"), ("self-heal", "Succeeded")]
    operate.confirm_deletion(here.edges, move.name, "dana")
    here.hurry(4)
    assert move.old("one") is None and here.status(move.name) == ("Synced", "Healthy")


def test_moving_back_prunes_nothing_of_what_is_wanted_there_again(move: Move) -> None:
    here = move.here
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    move.deploy(automated={})
    move.move(automated={})
    there = {"name": "old", "namespace": move.before}
    move.move(destination=there)
    here.hurry(3)
    assert move.old("one") is not None
    assert here.config("one") is None, "what was left in the cluster in between is pruned"


def test_deleting_the_application_deletes_what_it_left_behind(move: Move) -> None:
    here = move.here
    here.push({"app/all.yaml": manifests(config("one", a="1"))})
    move.deploy(automated={})
    move.move(automated={})
    operate.remove(here.edges, move.name, "dana", cascade=True)

    def gone() -> bool:
        here.hurry(1)
        return here.find(move.name) is None

    eventually(gone, 20)
    assert move.old("one") is None and here.config("one") is None


def test_a_destination_that_is_not_registered_is_told_while_a_prune_waits(move: Move) -> None:
    here = move.here
    asking = config("one", a="1")
    asking["metadata"]["annotations"] = {"argocd.argoproj.io/sync-options": "Prune=confirm"}
    here.push({"app/all.yaml": manifests(asking)})
    move.deploy()
    move.move()
    here.hurry(3)
    assert here.phases(move.name)[0] == ("former", "Held")
    here.declare(move.name, upsert=True, destination={"name": "nowhere", "namespace": here.namespace})
    here.look(move.name)
    here.hurry(2)
    assert "cluster nowhere is not registered" in here.conditions(move.name)["InvalidSpecError"]
    assert move.old("one") is not None and here.config("one") is not None
