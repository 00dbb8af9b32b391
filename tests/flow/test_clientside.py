"""Objects that server-side apply refuses: written as a whole, shown as such, compared where Git sets something."""

from typing import Any

from driftline.model.objects import Object
from tests.flow.installation import Installation, config, deployment, manifests
from tests.kit.apiproxy import ApiProxy

PORTS = [
    {"name": "dns", "containerPort": 53, "protocol": "UDP"},
    {"name": "dns-old", "containerPort": 53, "protocol": "UDP"},
]


def _twice(image: str = "web:1", **more: Any) -> Object:
    """A Deployment that spells one port of its container twice, as published charts do."""
    body = deployment("web", image)
    body["spec"]["template"]["spec"]["containers"][0]["ports"] = PORTS
    body["metadata"].update(more)
    return body


def _web(here: Installation) -> Any:
    found = here.hands.get("apps/v1/deployments", here.namespace, "web")
    assert found is not None
    return found


def _container(here: Installation) -> Any:
    return _web(here)["spec"]["template"]["spec"]["containers"][0]


def test_what_cannot_be_applied_is_written_as_a_whole_and_looked_after(here: Installation) -> None:
    here.push({"app/all.yaml": manifests(_twice(annotations={"team": "a"}))})
    name = here.declare()
    here.settle()
    [sync] = here.syncs(name)
    assert sync.phase == "Succeeded", sync.message
    assert [each["message"] for each in sync.results["objects"]] == ["created (client-side)"]
    assert sync.plan_view["changes"][0]["reason"].startswith("client-side: ")
    assert [port["name"] for port in _container(here)["ports"]] == ["dns", "dns-old"]
    assert here.status(name)[0] == "Synced"

    uid = _web(here)["metadata"]["uid"]
    others = {"metadata": {"annotations": {"theirs": "1"}, "labels": {"more": "x"}}}
    here.hands.merge_patch("apps/v1/deployments", here.namespace, "web", others)
    here.look(name, fresh=True)
    here.settle()
    assert here.drift(name) == [] and len(here.syncs(name)) == 1, "what Git does not set is nobody's drift"

    here.hands.merge_patch("apps/v1/deployments", here.namespace, "web", {"spec": {"replicas": 0}})
    here.look(name, fresh=True)
    here.settle()
    assert _web(here)["spec"]["replicas"] == 1
    [interval] = here.drift(name)
    assert (interval.path, interval.ended_at is not None) == ("spec.replicas", True)
    [repair] = here.syncs(name)[:1]
    assert repair.kind == "self-heal"
    assert [each["message"] for each in repair.results["objects"]] == ["updated (client-side)"]
    assert repair.plan_view["changes"][0]["reason"] == "client-side"

    here.push({"app/all.yaml": manifests(_twice("web:2"))})
    here.fetch()
    here.settle()
    web = _web(here)
    assert web["metadata"]["uid"] == uid and _container(here)["image"] == "web:2"
    assert "team" not in web["metadata"]["annotations"], "Git has dropped it"
    assert web["metadata"]["annotations"]["theirs"] == "1" and web["metadata"]["labels"]["more"] == "x"
    here.look(name, fresh=True)
    here.settle()
    assert here.status(name)[0] == "Synced" and len(here.syncs(name)) == 3


def test_an_object_goes_to_and_fro_between_both_ways(small: Installation) -> None:
    here = small
    plain = deployment("web")
    plain["metadata"]["annotations"] = {"team": "a"}
    here.push({"app/all.yaml": manifests(plain)})
    name = here.declare()
    here.settle()
    here.push({"app/all.yaml": manifests(_twice())})
    here.fetch()
    here.settle()
    assert here.status(name)[0] == "Synced"
    assert "team" not in _web(here)["metadata"]["annotations"]
    here.hands.merge_patch("apps/v1/deployments", here.namespace, "web", {"spec": {"replicas": 3}})
    here.scan()
    here.hurry(2)
    assert _web(here)["spec"]["replicas"] == 1, "no digest of an older apply hides a drift"
    here.push({"app/all.yaml": manifests(deployment("web", "web:3"))})
    here.fetch()
    here.settle()
    assert _container(here)["image"] == "web:3" and not _container(here).get("ports")
    here.look(name, fresh=True)
    here.settle()
    assert here.status(name)[0] == "Synced" and here.drift(name, only_open=True) == []


def test_of_a_variable_given_twice_the_last_counts_and_people_are_warned(small: Installation) -> None:
    here = small
    body = deployment("web")
    body["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "MODE", "value": "old"},
        {"name": "OTHER", "value": "x"},
        {"name": "MODE", "value": "new"},
    ]
    here.push({"app/all.yaml": manifests(body)})
    name = here.declare()
    here.settle()
    assert here.status(name)[0] == "Synced"
    assert {each["name"]: each["value"] for each in _container(here)["env"]} == {"MODE": "new", "OTHER": "x"}
    assert "MODE" in " ".join(here.conditions(name).values()), here.conditions(name)
    assert [each["message"] for each in here.syncs(name)[0].results["objects"]] == ["created"]


def test_an_api_without_apply_is_written_as_a_whole(distant: Installation, proxy: ApiProxy) -> None:
    here = distant
    status = {"kind": "Status", "code": 415, "message": "the body of the request was in an unknown format"}
    proxy.fail("PATCH", "[?&]force=", 415, body=status, times=10**6)
    here.push({"app/all.yaml": manifests(config("one", a="1", b="1"))})
    name = here.declare()
    here.settle()
    assert [each["message"] for each in here.syncs(name)[0].results["objects"]] == ["created (client-side)"]
    here.push({"app/all.yaml": manifests(config("one", a="2"))})
    here.fetch()
    here.settle()
    one = here.config("one")
    assert one is not None and one["data"] == {"a": "2"}
    here.hands.merge_patch("v1/configmaps", here.namespace, "one", {"data": {"a": "by hand", "theirs": "1"}})
    here.look(name, fresh=True)
    here.settle()
    one = here.config("one")
    assert one is not None and one["data"] == {"a": "2", "theirs": "1"}
    assert {each.path for each in here.drift(name)} == {"data.a"}
    assert here.status(name)[0] == "Synced"
