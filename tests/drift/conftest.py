"""A control plane without controllers: what changes an object here is a hand, Git, or admission."""

import time
from collections.abc import Iterator

import pytest

from tests.drift.catalogue import GROUP, gadget_crd
from tests.drift.history import Server
from tests.kit.cluster import own_cluster, random_name


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """An API server that knows Gadgets."""
    cluster = own_cluster(controllers=False)
    found = Server(cluster.api("admin"))
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gadgets.{GROUP}?fieldManager=admin"
    status, answer = found.call("PATCH", path, gadget_crd(), "application/apply-patch+yaml")
    assert status < 300, answer
    deadline = time.monotonic() + 20
    while found.call("GET", f"/openapi/v3/apis/{GROUP}/v1")[0] != 200:
        assert time.monotonic() < deadline, "the CRD's schema was never published"
        time.sleep(0.1)
    yield found
    cluster.stop()


@pytest.fixture
def namespace(server: Server) -> str:
    """A namespace of the test's own."""
    name = random_name("drift")
    status, answer = server.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert status == 201, answer
    return name
