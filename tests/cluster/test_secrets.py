"""Whatever is wrong with a Secret, no value of it appears in an error."""

import base64
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from driftline.adapters.cluster.cluster import Cluster
from driftline.adapters.cluster.refusals import Answer, Call, translate
from driftline.model.errors import Failure
from driftline.model.objects import Key, Object
from tests.cluster.shapes import SECRETS, secret
from tests.kit.apiproxy import ApiProxy
from tests.kit.cluster import Hands, eventually, refusing

CANARY = "CANARY8d41f0"
ENCODED = base64.b64encode(CANARY.encode()).decode()


@pytest.mark.parametrize(
    "fields",
    [
        {"data": {"password": f"{CANARY} is not base64"}},
        {"data": {"password": 8411704}},
        {"data": CANARY},
        {"data": [CANARY]},
        {"stringData": {"password": {"nested": CANARY}}},
        {"stringData": {".dockerconfigjson": f"{CANARY}{{"}, "type": "kubernetes.io/dockerconfigjson"},
        {"stringData": {"password": CANARY}, "type": "kubernetes.io/tls"},
        {"stringData": {"password": CANARY * 100_000}},
        {"stringData": {"password": CANARY}, "type": {"password": CANARY}},
    ],
    ids=lambda fields: ",".join(fields),
)
@pytest.mark.parametrize("verb", ["apply", "create", "replace"])
def test_a_malformed_secret_is_described_without_its_values(
    cluster: Cluster, namespace: str, fields: Object, verb: str
) -> None:
    if verb == "replace":
        cluster.create(SECRETS, secret(namespace, data={}))
    with pytest.raises(Failure) as raised:
        getattr(cluster, verb)(SECRETS, secret(namespace, **fields))
    _says_nothing(raised.value, "8411704")
    assert str(raised.value).startswith(f"Secret/{namespace}/password: ")


def test_a_changed_immutable_secret_is_described_without_its_values(cluster: Cluster, namespace: str) -> None:
    cluster.apply(SECRETS, secret(namespace, immutable=True, data={"password": ENCODED}))
    with pytest.raises(Failure) as raised:
        cluster.apply(SECRETS, secret(namespace, immutable=True, data={"password": "b3RoZXI="}))
    _says_nothing(raised.value)
    assert "data cannot change" in str(raised.value)


@pytest.fixture
def echo(by_hand: Hands, namespace: str) -> Iterator[str]:
    """A policy whose refusal repeats the Secret's content."""
    with refusing(by_hand, namespace, ["secrets"], "'weak: ' + string(object.data['password'])") as name:
        yield name


def test_a_policy_that_repeats_a_secret_is_named_but_not_quoted(cluster: Cluster, namespace: str, echo: str) -> None:
    def refused() -> Failure | None:
        try:
            cluster.apply(SECRETS, secret(namespace, data={"password": ENCODED}), dry_run=True)
        except Failure as error:
            return error
        return None

    error = eventually(refused)
    _says_nothing(error)
    assert str(error) == f"Secret/{namespace}/password: refused by the admission policy {echo}"


def test_an_unknown_field_of_a_secret_is_named_without_its_value(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Failure) as raised:
        cluster.apply(SECRETS, secret(namespace, pasword=CANARY))
    _says_nothing(raised.value)
    assert str(raised.value) == (
        f"Secret/{namespace}/password: it does not fit its schema: pasword: field not declared in schema"
    )


MESSAGES = [
    f"failed to create typed patch object (/p; v1, Kind=Secret): .data.x: expected string, got &{{{CANARY}}}",
    f'Internal error occurred: failed calling webhook "a.b": {CANARY}',
    f'admission webhook "a.b" denied the request: {CANARY}',
    f"secrets is forbidden: {CANARY}",
    f"json: cannot unmarshal {CANARY}",
    CANARY,
]
VERBS = ["apply", "create", "replace", "json patch", "merge patch", "delete", "get", "list", "watch"]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 409, 410, 413, 415, 418, 422, 429, 500, 502, 503, 504])
def test_no_answer_about_a_secret_is_repeated(code: int) -> None:
    cause = ("FieldValueInvalid", "data[x]", f'Invalid value: "{CANARY}": bad {CANARY}')
    for verb, message, causes in itertools.product(VERBS, MESSAGES, ((), (cause,))):
        call = Call("prod", Key("", "Secret", "shop", "password"), "v1", verb)
        _says_nothing(translate(call, Answer(code, True, "", message, causes), {}))


def test_a_server_that_answers_nonsense_is_not_quoted(distant: Cluster, proxy: ApiProxy, namespace: str) -> None:
    for status in (400, 404, 500):
        proxy.fail("PATCH", "secrets", status, body=f"<html>{CANARY}</html>".encode())
        with pytest.raises(Failure) as raised:
            distant.apply(SECRETS, secret(namespace, data={"password": ENCODED}))
        _says_nothing(raised.value)


def _says_nothing(error: Failure, *more: str) -> None:
    shown: list[Any] = [str(error), repr(error), error.__cause__, error.args]
    for text in (CANARY, ENCODED, *more):
        assert text not in " ".join(map(str, shown))
