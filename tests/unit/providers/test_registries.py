"""What registries announce: an artifact and its tag."""

from dataclasses import replace
from typing import Any

import pytest

from driftline.model.push import Push, RefAction, RefChange
from service.providers.host import Malformed, Secret
from service.providers.table import HOSTS, recognise
from tests.kit import payloads
from tests.kit.payloads import Delivery, Published


def read(delivery: Delivery) -> Push:
    headers = {name.lower(): value for name, value in delivery.headers.items()}
    return HOSTS[delivery.provider].parse(headers, delivery.payload)


@pytest.mark.covers("WH-08")
def test_a_published_package_names_its_artifact_and_tag() -> None:
    push = read(payloads.github_package())
    assert push.repo_urls == ("oci://ghcr.io/charts/redis",)
    assert push.changes == (RefChange("refs/tags/18.2.0", RefAction.UPDATED),)
    assert (push.event, push.pusher, push.ignored) == ("package", "ada", "")


@pytest.mark.covers("WH-08")
@pytest.mark.parametrize(
    ("delivery", "why"),
    [
        (payloads.github_package(action="updated"), "package updated of type container"),
        (payloads.github_package(kind="npm"), "package published of type npm"),
        (payloads.github_package(Published(tag="")), "the package has no tag"),
        (payloads.harbor(event="SCANNING_COMPLETED"), "event SCANNING_COMPLETED"),
        (payloads.harbor(Published(tag="")), "the artifact has no tag"),
    ],
)
def test_what_is_no_new_tag_is_ignored(delivery: Delivery, why: str) -> None:
    push = read(delivery)
    assert (push.ignored, push.changes) == (why, ())


@pytest.mark.covers("WH-08")
def test_harbor_names_every_artifact_of_an_event() -> None:
    delivery = payloads.harbor()
    resources = delivery.payload["event_data"]["resources"]
    resources.append({**resources[0], "tag": "latest", "resource_url": "harbor.example.org:8443/charts/redis:latest"})
    push = read(delivery)
    assert push.repo_urls == ("oci://harbor.example.org/charts/redis", "oci://harbor.example.org:8443/charts/redis")
    assert [change.ref for change in push.changes] == ["refs/tags/18.2.0", "refs/tags/latest"]
    assert push.pusher == "ada"
    assert read(payloads.harbor()).delivery_id == read(payloads.harbor()).delivery_id, "a redelivery is known as one"


@pytest.mark.covers("WH-08")
def test_harbor_is_believed_by_its_authorization_header_alone() -> None:
    headers, body = payloads.harbor().signed("Bearer of news")
    lower = {name.lower(): value for name, value in headers.items()}
    host = recognise(lower)
    assert host is HOSTS["harbor"]
    assert host.authentic(lower, body, Secret("Bearer of news"))
    for given, secret in (("", "x"), ("Bearer of News", "Bearer of news"), ("", ""), ("x", "")):
        assert not host.authentic({**lower, "authorization": given}, body, Secret(secret))


def test_other_hosts_that_send_an_authorization_header_are_recognised_first() -> None:
    headers, _ = payloads.azure(payloads.Told(payloads.web_of("azure"))).signed()
    assert recognise({name.lower(): value for name, value in headers.items()}) is HOSTS["azure"]


@pytest.mark.parametrize(
    "reference", [None, 7, "", "redis", "https://", "host/../x y", "oci://", "-/x:1", "host/x:1:2"]
)
def test_an_event_without_an_artifact_is_malformed(reference: Any) -> None:
    delivery = payloads.harbor()
    delivery.payload["event_data"]["resources"][0]["resource_url"] = reference
    with pytest.raises(Malformed):
        read(delivery)
    broken = payloads.github_package()
    with pytest.raises(Malformed):
        read(
            replace(
                broken, payload={**broken.payload, "package": {**broken.payload["package"], "name": "", "owner": {}}}
            )
        )
