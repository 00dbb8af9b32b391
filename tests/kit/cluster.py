"""A real API server for tests, and the hands that edit in it. Imported by fixtures and tests."""

import atexit
import functools
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from deploy.localcluster.api import Api
from deploy.localcluster.localcluster import LocalCluster
from driftline.model.access import ClusterAccess
from driftline.model.objects import Object


@functools.cache
def shared_cluster() -> LocalCluster:
    """The control plane of this test session: the running one in `DRIFTLINE_TEST_CLUSTER`, else one of its own.

    Everybody shares it: keep to namespaces from `new_namespace`, and give cluster-scoped objects random names.
    """
    if running := os.environ.get("DRIFTLINE_TEST_CLUSTER"):
        return LocalCluster(running)
    return own_cluster()


def own_cluster(*, controllers: bool = True) -> LocalCluster:
    """A fresh control plane for this process alone, for tests that stop it. Gone when the process ends."""
    directory = tempfile.mkdtemp(prefix="driftline-cluster-")
    cluster = LocalCluster(directory, controllers=controllers).start()

    def remove() -> None:
        cluster.stop()
        shutil.rmtree(directory, ignore_errors=True)

    atexit.register(remove)
    return cluster


def access(cluster: LocalCluster, user: str = "driftline", server: str = "") -> ClusterAccess:
    """How to log in to it as `driftline` (or `admin`); `server` leads through a proxy instead."""
    config = json.loads(cluster.kubeconfig(user))
    config["clusters"][0]["cluster"]["server"] = server or cluster.server
    return ClusterAccess(name="local", server=server or cluster.server, kubeconfig=json.dumps(config))


def random_name(prefix: str = "t") -> str:
    """A name that no other test has."""
    return f"{prefix}-{secrets.token_hex(4)}"


def new_namespace(cluster: LocalCluster, prefix: str = "t") -> str:
    """Make a namespace of the test's own and return its name."""
    name = random_name(prefix)
    Hands(cluster.api()).create("v1/namespaces", "", {"metadata": {"name": name}})
    return name


def hands(cluster: LocalCluster, user: str = "admin") -> "Hands":
    """What a person with kubectl could do to the cluster."""
    return Hands(cluster.api(user))


def eventually(check: Callable[[], Any], patience: float = 30.0) -> Any:
    """The first truthy value of `check`, asked again and again; fails the test after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not (value := check()):
        assert time.monotonic() < deadline, f"still {value!r} after {patience} s"
        time.sleep(0.02)
    return value


class Refused(AssertionError):
    """The API server refused a hand edit; `status` and `answer` say how."""

    def __init__(self, status: int, answer: Any) -> None:
        super().__init__(f"{status}: {answer}")
        self.status = status
        self.answer = answer


class Hands:
    """Edits by hand. A resource is written `v1/configmaps` or `apps/v1/deployments`."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """The object, or None."""
        status, answer = self._api.request("GET", path(resource, namespace, name))
        return None if status == 404 else _accepted(status, answer)

    def select(self, resource: str, namespace: str = "", selector: str = "") -> list[Object]:
        """The objects that a label selector finds."""
        query = {"labelSelector": selector} if selector else {}
        found: list[Object] = self._call("GET", path(resource, namespace, query=query))["items"]
        return found

    def create(self, resource: str, namespace: str, body: Object, manager: str = "kubectl-create") -> Object:
        """POST. The body's apiVersion and kind may be left out."""
        return self._call("POST", path(resource, namespace, query={"fieldManager": manager}), body)

    def apply(
        self, resource: str, namespace: str, body: Object, manager: str = "kubectl", *, force: bool = True
    ) -> Object:
        """Server-side apply as another manager. The body needs apiVersion, kind and metadata.name."""
        query = {"fieldManager": manager, "force": str(force).lower()}
        target = path(resource, namespace, body["metadata"]["name"], query=query)
        return self._call("PATCH", target, body, "application/apply-patch+yaml")

    def merge_patch(
        self, resource: str, namespace: str, name: str, body: Object, manager: str = "kubectl-edit", sub: str = ""
    ) -> Object:
        """`kubectl patch --type merge`, or `kubectl edit`. `sub`: a subresource such as `status` or `scale`."""
        target = path(resource, namespace, name, sub, query={"fieldManager": manager})
        return self._call("PATCH", target, body, "application/merge-patch+json")

    def json_patch(
        self, resource: str, namespace: str, name: str, steps: list[Object], manager: str = "kubectl-edit"
    ) -> Object:
        """`kubectl patch --type json`."""
        target = path(resource, namespace, name, query={"fieldManager": manager})
        return self._call("PATCH", target, steps, "application/json-patch+json")

    def replace(self, resource: str, namespace: str, body: Object, manager: str = "kubectl-replace") -> Object:
        target = path(resource, namespace, body["metadata"]["name"], query={"fieldManager": manager})
        return self._call("PUT", target, body)

    def delete(self, resource: str, namespace: str, name: str, propagation: str = "Background") -> None:
        """Delete it; that it is not there is fine."""
        status, answer = self._api.request(
            "DELETE", path(resource, namespace, name), {"propagationPolicy": propagation}
        )
        if status != 404:
            _accepted(status, answer)

    def _call(self, method: str, target: str, body: Any = None, content_type: str = "application/json") -> Object:
        return _accepted(*self._api.request(method, target, body, content_type))


def path(
    resource: str, namespace: str = "", name: str = "", sub: str = "", query: Mapping[str, str] | None = None
) -> str:
    """The path and query of a request: `apps/v1/deployments` in `shop` is /apis/apps/v1/namespaces/shop/deployments."""
    from urllib.parse import urlencode

    version, _, plural = resource.rpartition("/")
    parts = ["/apis" if "/" in version else "/api", version]
    parts += ["namespaces", namespace] if namespace else []
    text = "/".join([*parts, plural, *([name] if name else []), *([sub] if sub else [])])
    return f"{text}?{urlencode(query)}" if query else text


def _accepted(status: int, answer: Any) -> Object:
    if status >= 300:
        raise Refused(status, answer)
    body: Object = answer
    return body


@contextmanager
def refusing(by_hand: Hands, namespace: str, resources: Sequence[str], message: str) -> Iterator[str]:
    """An admission policy that refuses every object of some core resources in a namespace; its name.

    `message` is a CEL expression for what it says.
    """
    name, kind = random_name("policy"), "admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    by_hand.merge_patch("v1/namespaces", "", namespace, {"metadata": {"labels": {"policy": name}}})
    matched = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": list(resources)}
    constraints = {"resourceRules": [matched], "namespaceSelector": {"matchLabels": {"policy": name}}}
    told = {"expression": "false", "messageExpression": message}
    spec = {"failurePolicy": "Fail", "matchConstraints": constraints, "validations": [told]}
    by_hand.create(kind, "", {"metadata": {"name": name}, "spec": spec})
    binding = {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}}
    by_hand.create(f"{kind[:-8]}policybindings", "", binding)
    yield name
    by_hand.delete(f"{kind[:-8]}policybindings", "", name)
    by_hand.delete(kind, "", name)
