"""Overload, silence, cut connections and expired credentials between us and a real API server."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.localcluster.localcluster import LocalCluster
from driftline.adapters.cluster import connection, credentials
from driftline.adapters.cluster.cluster import Cluster, connect
from driftline.adapters.settings import Settings
from driftline.model.access import ClusterAccess
from driftline.model.cluster import ApiRefused, ClusterUnreachable, Refusal
from driftline.model.errors import Temporary
from tests.cluster.shapes import CONFIG_MAPS, config_map
from tests.kit.apiproxy import CUT, ApiProxy
from tests.kit.cluster import access, hands

BUSY = {"kind": "Status", "status": "Failure", "reason": "TooManyRequests", "code": 429}


def test_a_short_wait_that_the_server_asks_for_is_kept(distant: Cluster, proxy: ApiProxy, namespace: str) -> None:
    proxy.fail("PATCH", "configmaps", 429, body=BUSY, headers={"Retry-After": "1"})
    began = time.monotonic()
    assert distant.apply(CONFIG_MAPS, config_map(namespace)).created
    assert 1.0 <= time.monotonic() - began < 3.0
    assert proxy.count("PATCH", "configmaps") == 2


def test_a_long_wait_is_handed_to_the_caller(distant: Cluster, proxy: ApiProxy, namespace: str) -> None:
    proxy.fail("PATCH", "configmaps", 429, body=BUSY, headers={"Retry-After": "17"})
    with pytest.raises(ClusterUnreachable) as raised:
        distant.apply(CONFIG_MAPS, config_map(namespace))
    assert raised.value.delay == timedelta(seconds=17)
    assert str(raised.value) == f"ConfigMap/{namespace}/settings: the API server is overloaded (cluster local)"
    assert proxy.count("PATCH", "configmaps") == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_in_trouble_says_nothing_about_the_object(
    distant: Cluster, proxy: ApiProxy, namespace: str, status: int
) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        proxy.fail(method, "configmaps", status, body=b"upstream error")
    for call in (
        lambda: distant.get(CONFIG_MAPS, namespace, "settings"),
        lambda: distant.apply(CONFIG_MAPS, config_map(namespace)),
        lambda: distant.delete(CONFIG_MAPS, namespace, "settings", uid="any"),
    ):
        with pytest.raises(ClusterUnreachable):
            call()


def test_overload_halves_what_we_ask_at_once(distant: Cluster, proxy: ApiProxy, namespace: str) -> None:
    proxy.fail("PATCH", "configmaps", 503)
    with pytest.raises(ClusterUnreachable):
        distant.apply(CONFIG_MAPS, config_map(namespace))
    proxy.fail("PATCH", "configmaps", 0, delay=0.05, times=1000)
    proxy.most_at_once = 0
    _apply_many(distant, namespace, 24)
    assert proxy.most_at_once <= 10  # 8, and the first steps up again
    _apply_many(distant, namespace, 100)
    proxy.most_at_once = 0
    _apply_many(distant, namespace, 32)
    assert proxy.most_at_once > 12


def test_writes_and_lists_are_limited_per_process(distant: Cluster, proxy: ApiProxy, namespace: str) -> None:
    proxy.fail("PATCH", "configmaps", 0, delay=0.1, times=1000)
    _apply_many(distant, namespace, 40)
    assert proxy.most_at_once == 16
    proxy.fail("GET", "configmaps", 0, delay=0.1, times=1000)
    proxy.most_at_once = 0
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: distant.list(CONFIG_MAPS, namespace), range(12)))
    assert proxy.most_at_once == 4


def _apply_many(cluster: Cluster, namespace: str, count: int) -> None:
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda number: cluster.apply(CONFIG_MAPS, config_map(namespace, f"c{number}")), range(count)))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "READ", 0.5)


@pytest.mark.usefixtures("impatient")
def test_a_black_hole_is_unreachable_and_not_empty(distant: Cluster, proxy: ApiProxy, namespace: str) -> None:
    distant.apply(CONFIG_MAPS, config_map(namespace))
    proxy.silent.set()
    for call in (
        lambda: distant.get(CONFIG_MAPS, namespace, "settings"),
        lambda: distant.list(CONFIG_MAPS, namespace),
        lambda: distant.kinds(),
        lambda: distant.apply(CONFIG_MAPS, config_map(namespace)),
    ):
        with pytest.raises(ClusterUnreachable, match="no answer within the time allowed"):
            call()
    proxy.silent.clear()
    assert distant.get(CONFIG_MAPS, namespace, "settings") is not None


def test_a_kept_connection_that_was_closed_meanwhile_is_replaced_unseen(
    distant: Cluster, proxy: ApiProxy, namespace: str
) -> None:
    distant.apply(CONFIG_MAPS, config_map(namespace))
    for _ in range(5):
        proxy.cut()
        assert distant.get(CONFIG_MAPS, namespace, "settings") is not None
        assert not distant.apply(CONFIG_MAPS, config_map(namespace)).created


def test_only_what_may_arrive_twice_is_sent_twice(distant: Cluster, proxy: ApiProxy, namespace: str) -> None:
    for method in ("GET", "PATCH", "DELETE", "POST"):
        proxy.fail(method, "configmaps", CUT)
    assert distant.get(CONFIG_MAPS, namespace, "settings") is None
    applied = distant.apply(CONFIG_MAPS, config_map(namespace))
    distant.delete(CONFIG_MAPS, namespace, "settings", uid=applied.body["metadata"]["uid"])
    assert [proxy.count(method, "configmaps") for method in ("GET", "PATCH", "DELETE")] == [2, 2, 2]
    # Sent again, a create would meet its own object and take it for somebody else's.
    with pytest.raises(ClusterUnreachable, match="the connection was cut"):
        distant.create(CONFIG_MAPS, config_map(namespace, "other"))
    proxy.fail("PATCH", "configmaps", CUT)
    with pytest.raises(ClusterUnreachable, match="the connection was cut"):
        distant.apply(CONFIG_MAPS, config_map(namespace, "other"), force=False)
    assert [proxy.count(method, "configmaps") for method in ("POST", "PATCH")] == [1, 3]


def test_nobody_at_the_address(local: LocalCluster, settings: Settings) -> None:
    lost = connect(access(local, server="https://127.0.0.1:1"), settings)
    with pytest.raises(ClusterUnreachable) as raised:
        lost.get(CONFIG_MAPS, "shop", "settings")
    assert str(raised.value) == "ConfigMap/shop/settings: cluster local at 127.0.0.1:1: the connection was refused"


def test_a_foreign_certificate_is_not_accepted(local: LocalCluster, settings: Settings, tmp_path: Path) -> None:
    from deploy.localcluster.certificates import make_authority
    from driftline.adapters.cluster.kubeconfig import encoded

    config = json.loads(local.kubeconfig("driftline"))
    config["clusters"][0]["cluster"]["certificate-authority-data"] = encoded(make_authority().certificate)
    stranger = connect(ClusterAccess("local", local.server, json.dumps(config)), settings)
    with pytest.raises(ClusterUnreachable, match="certificate"):
        stranger.uid()


def test_a_webhook_that_does_not_answer_is_named_and_tried_again(
    distant: Cluster, proxy: ApiProxy, namespace: str
) -> None:
    text = 'Internal error occurred: failed calling webhook "guard.example.com": context deadline exceeded'
    proxy.fail("PATCH", "configmaps", 500, body={"kind": "Status", "message": text, "code": 500})
    with pytest.raises(Temporary, match=r"admission webhook guard\.example\.com does not answer") as raised:
        distant.apply(CONFIG_MAPS, config_map(namespace))
    assert not isinstance(raised.value, ClusterUnreachable)  # only this object's trouble


def test_a_redirect_is_not_followed(distant: Cluster, proxy: ApiProxy, namespace: str) -> None:
    proxy.fail("GET", "configmaps", 302, headers={"Location": "https://169.254.169.254/latest"})
    with pytest.raises(ClusterUnreachable, match="redirects"):
        distant.get(CONFIG_MAPS, namespace, "settings")


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b"[]", b"null", b"{}", b'{"items": []}'])
def test_an_answer_that_is_no_list_is_not_an_empty_one(
    distant: Cluster, proxy: ApiProxy, namespace: str, body: bytes
) -> None:
    proxy.fail("GET", "configmaps", 200, body=body)
    with pytest.raises(ClusterUnreachable):
        distant.list(CONFIG_MAPS, namespace)
    proxy.fail("GET", "configmaps", 200, body=body)
    with pytest.raises(ClusterUnreachable):
        distant.get(CONFIG_MAPS, namespace, "settings")


# Credentials


def token_of(local: LocalCluster, namespace: str, account: str) -> str:
    """A token of a service account that may read ConfigMaps."""
    by_hand = hands(local)
    by_hand.create("v1/serviceaccounts", namespace, {"metadata": {"name": account}})
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
    rbac = "rbac.authorization.k8s.io/v1"
    by_hand.create(f"{rbac}/roles", namespace, {"metadata": {"name": account}, "rules": [rule]})
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account}
    by_hand.create(
        f"{rbac}/rolebindings", namespace, {"metadata": {"name": account}, "subjects": [subject], "roleRef": role}
    )
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    return str(local.api().request("POST", path, {"spec": {}})[1]["status"]["token"])


@pytest.fixture
def pod(local: LocalCluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What Kubernetes puts into a Pod; returns the token's file."""
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text(token_of(local, namespace, "pod"))
    (account / "ca.crt").write_text((local.directory / "certs" / "ca.crt").read_text())
    host, _, port = local.server.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setattr(credentials, "ACCOUNT", account)
    return account / "token"


@pytest.mark.covers("CLU-02")
def test_inside_a_pod_its_own_account_is_used_and_its_rotated_token_too(
    local: LocalCluster, namespace: str, pod: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands(local).create("v1/configmaps", namespace, config_map(namespace))
    inside = connect(ClusterAccess("in-cluster", "https://kubernetes.default.svc"), settings)
    assert inside.get(CONFIG_MAPS, namespace, "settings") is not None
    denied = _refused(lambda: inside.list(CONFIG_MAPS, namespace))
    assert denied.refusal is Refusal.FORBIDDEN
    assert f'User "system:serviceaccount:{namespace}:pod" cannot list resource "configmaps"' in str(denied)
    pod.write_text(token_of(local, namespace, "rotated"))
    monkeypatch.setattr(credentials, "_TOKEN_LOOK", 0.0)
    denied = _refused(lambda: inside.list(CONFIG_MAPS, namespace))
    assert f'User "system:serviceaccount:{namespace}:rotated"' in str(denied)


def test_refused_credentials_are_read_again_once(
    local: LocalCluster, namespace: str, pod: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands(local).create("v1/configmaps", namespace, config_map(namespace))
    monkeypatch.setattr(connection, "_RENEW_EVERY", 0.0)
    good = pod.read_text()
    pod.write_text("expired")
    inside = connect(ClusterAccess("in-cluster", ""), settings)
    pod.write_text(good)
    assert inside.get(CONFIG_MAPS, namespace, "settings") is not None
    pod.write_text("expired for good")
    monkeypatch.setattr(credentials, "_TOKEN_LOOK", 0.0)
    refused = _refused(lambda: inside.get(CONFIG_MAPS, namespace, "settings"))
    assert refused.refusal is Refusal.UNAUTHORIZED
    assert "does not accept our credentials" in str(refused)


def test_many_threads_renew_refused_credentials_once(
    distant: Cluster, proxy: ApiProxy, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_RENEW_EVERY", 0.0)
    logins: list[int] = []
    real = credentials.log_in

    def counted(access: ClusterAccess, settings: Settings) -> credentials.Login:
        logins.append(1)
        return real(access, settings)

    monkeypatch.setattr(connection, "log_in", counted)
    unauthorized = {"kind": "Status", "reason": "Unauthorized", "code": 401}
    proxy.fail("GET", "configmaps", 401, body=unauthorized, times=8, delay=0.2)
    barrier = threading.Barrier(8)

    def read(_: int) -> object:
        barrier.wait()
        return distant.get(CONFIG_MAPS, namespace, "settings")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(8))) == [None] * 8
    assert len(logins) == 1


def _refused(call: Callable[[], object]) -> ApiRefused:
    with pytest.raises(ApiRefused) as raised:
        call()
    return raised.value
