"""What is shown of Secrets: that a value is there and whether it changed, never which."""

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.model.drift import ABSENT, FieldDrift
from driftline.model.masking import LAST_APPLIED, PLUSES, mask_drift, mask_message, mask_object, mask_together
from driftline.model.objects import Key, Object

CANARY = "canary-7f3a9"
ENCODED = base64.b64encode(CANARY.encode()).decode()
SECRET = Key("", "Secret", "shop", "db")
DEPLOYMENT = Key("apps", "Deployment", "shop", "web")


def secret(data: Any, **annotations: str) -> Object:
    metadata = {"name": "db", "namespace": "shop", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}


@pytest.mark.covers("CMP-14")
def test_versions_of_a_secret_masked_together_show_what_is_equal() -> None:
    copy = orjson.dumps(secret({"password": "one", "user": "bob"})).decode()
    desired = secret({"password": "one", "user": "bob"})
    live = secret({"password": "two", "user": "bob", "extra": "x"}, **{LAST_APPLIED: copy})
    first, second = mask_together(desired, live)
    assert first["data"] == {"password": "+" * 8, "user": "+" * 8}
    assert second["data"] == {"password": "+" * 12, "user": "+" * 8, "extra": "+" * 8}
    last = orjson.loads(second["metadata"]["annotations"][LAST_APPLIED])
    assert last["data"] == {"password": "+" * 8, "user": "+" * 8}
    assert last["metadata"]["name"] == "db"


@pytest.mark.covers("CMP-14")
def test_a_copy_in_an_annotation_that_cannot_be_read_becomes_pluses() -> None:
    for broken in ('{"data": {"password": "' + CANARY, "[" * 5000, "7", "\ud800", ""):
        masked = mask_object(secret({}, **{LAST_APPLIED: broken}))
        assert masked["metadata"]["annotations"][LAST_APPLIED] == PLUSES


@pytest.mark.covers("CMP-14")
def test_annotations_that_the_settings_list_are_hidden_on_every_kind() -> None:
    annotations = {"vault/token": CANARY, "team": "shop"}
    service: Object = {"kind": "Service", "metadata": {"annotations": annotations}}
    assert mask_object(service, ["vault/token"])["metadata"]["annotations"] == {"vault/token": PLUSES, "team": "shop"}
    assert mask_object(service) is service


def test_any_annotation_that_repeats_a_value_of_its_secret_is_hidden() -> None:
    masked = mask_object(secret({"password": ENCODED}, note=f"was {CANARY}", other=f"raw {ENCODED}", team="shop"))
    assert masked["metadata"]["annotations"] == {"note": PLUSES, "other": PLUSES, "team": "shop"}


def test_secrets_inside_lists_are_found() -> None:
    listing: Object = {
        "kind": "SecretList",
        "items": [secret({"a": CANARY}), {"kind": "List", "items": [secret(CANARY)]}],
    }
    assert CANARY not in str(mask_object(listing))
    deep: Any = secret({"a": CANARY})
    for _ in range(50):
        deep = {"kind": "List", "items": [deep]}
    assert CANARY not in str(mask_object(deep))


@pytest.mark.parametrize(
    "data", [CANARY, [CANARY], {"a": {"b": CANARY}}, {"a": [CANARY]}, {"a": 12345678901234567890123, "b": CANARY}]
)
def test_a_malformed_secret_is_masked_too(data: Any) -> None:
    masked = mask_object({**secret(data), "stringData": data, "kind": " secret"})
    assert CANARY not in str(masked)
    assert "12345678901234567890123" not in str(masked)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(CANARY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, json_values, json_values)
def test_whatever_a_secret_holds_masking_neither_raises_nor_shows_it(data: Any, strings: Any, annotations: Any) -> None:
    body: Object = {"kind": "Secret", "data": data, "stringData": strings, "metadata": {"annotations": annotations}}
    masked = mask_object(body)
    assert CANARY not in orjson.dumps([masked["data"], masked["stringData"]]).decode()


@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=5)), st.dictionaries(st.text(max_size=5), st.text(max_size=5))
)
def test_two_masked_values_are_equal_exactly_if_the_values_are(one: dict[str, str], two: dict[str, str]) -> None:
    first, second = mask_together(secret(one), secret(two))
    for key in set(one) & set(two):
        assert (first["data"][key] == second["data"][key]) == (one[key] == two[key])


def test_drift_of_a_secret_shows_the_path_and_that_it_changed() -> None:
    (shown,) = mask_drift(SECRET, [FieldDrift("data.password", CANARY, "other")], b"k")
    assert shown.path == "data.password"
    assert str(shown.desired).startswith("++++++++ #") and str(shown.live).startswith("++++++++++++ #")
    assert CANARY not in str(shown) and "other" not in str(shown)
    again = mask_drift(SECRET, [FieldDrift("data.password", CANARY, "other")], b"k")
    assert again == (shown,)
    assert mask_drift(SECRET, [FieldDrift("data.password", CANARY, "other")], b"another key") != (shown,)


def test_what_is_absent_stays_absent_and_metadata_stays_readable() -> None:
    fields = [FieldDrift("stringData.a", ABSENT, CANARY), FieldDrift("metadata.labels.team", "a", "b")]
    removed, label = mask_drift(SECRET, fields)
    assert removed.desired == ABSENT and removed.live == "+" * 12
    assert (label.desired, label.live) == ("a", "b")


@pytest.mark.parametrize(
    "path", ["", "data", "data[password]", ".data['a.b']", "stringData", "spec.x", "metadata", "metadata.annotations"]
)
def test_no_path_into_a_secret_leads_to_its_values(path: str) -> None:
    copy = orjson.dumps(secret({"a": CANARY})).decode()
    whole = {"data": {"a": CANARY}, "metadata": {"annotations": {LAST_APPLIED: copy}}}
    value: Any = {"": whole, "metadata": whole["metadata"], "metadata.annotations": {LAST_APPLIED: copy}}.get(
        path, CANARY
    )
    assert CANARY not in str(mask_drift(SECRET, [FieldDrift(path, value, ABSENT)], b"k"))


@pytest.mark.parametrize(
    ("path", "desired", "live"),
    [
        ("spec.template.spec.containers[web].env[DB_PASSWORD].value", "hunter2", "hunter3"),
        ("spec.template.spec.containers[name=web].env[name=API_KEY].value", "hunter2", "hunter3"),
        ("data.clientSecret", "hunter2", "hunter3"),
        ("spec.url", "postgres://app:hunter2@db/shop", "postgres://app:hunter3@db/shop"),
        ("spec.env", [{"name": "TOKEN", "value": "hunter2"}], [{"name": "TOKEN", "value": "hunter3"}]),
    ],
)
def test_credentials_in_other_kinds_are_hidden_but_seen_to_change(path: str, desired: Any, live: Any) -> None:
    (shown,) = mask_drift(DEPLOYMENT, [FieldDrift(path, desired, live)], b"k")
    assert "hunter" not in str(shown)
    assert shown.desired != shown.live


def test_ordinary_drift_is_left_as_it_is() -> None:
    fields = (
        FieldDrift("spec.replicas", 3, 5),
        FieldDrift("spec.template.spec.volumes[keys].secret.secretName", "old", "new"),
        FieldDrift("spec.template.spec.automountServiceAccountToken", False, True),
    )
    shown = mask_drift(DEPLOYMENT, fields, b"k")
    assert shown[:2] == fields[:2]


def test_an_api_error_about_a_secret_keeps_the_path_and_loses_the_value() -> None:
    body = secret({"password": CANARY, "pin": 90210})
    text = (
        f'Secret/shop/db: Secret "db" is invalid: data.password: Invalid value: "{CANARY}-x": illegal base64; '
        "cannot unmarshal number 90210 into Go struct field Secret.data of type []uint8"
    )
    shown = mask_message(text, body)
    assert CANARY not in shown and "90210" not in shown
    assert "data.password" in shown and "illegal base64" in shown
    assert mask_message(text, {"kind": "Service"}) == text
