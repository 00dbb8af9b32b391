"""The types are those that server-side apply uses."""

from typing import Any

import pytest

from driftline.drift.schema import DEDUCED, Schemas, Type, trim
from tests.drift.catalogue import GROUP
from tests.unit.drift.known import recorded, schemas


def at(group: str, version: str, kind: str, path: str) -> Type:
    """The type at a dotted path; `*` goes into a list."""
    found = schemas().type_of(group, version, kind)
    for part in path.split("."):
        assert found is not None
        found = (
            (found.list.element if found.list else None)
            if part == "*"
            else found.map.child(part)
            if found.map
            else None
        )
    assert found is not None
    return found


POD = "spec.template.spec"


@pytest.mark.parametrize(
    ("path", "kind", "keys"),
    [
        (f"{POD}.containers", "map", ("name",)),
        (f"{POD}.containers.*.ports", "map", ("containerPort", "protocol")),
        (f"{POD}.containers.*.args", "atomic", ()),
        (f"{POD}.tolerations", "atomic", ()),
        (f"{POD}.topologySpreadConstraints", "map", ("topologyKey", "whenUnsatisfiable")),
        ("metadata.finalizers", "set", ()),
        ("metadata.ownerReferences", "map", ("uid",)),
    ],
)
def test_lists_are_paired_as_the_api_server_pairs_them(path: str, kind: str, keys: tuple[str, ...]) -> None:
    found = at("apps", "v1", "Deployment", path).list
    assert found is not None
    assert (found.kind, found.keys) == (kind, keys)


def test_a_key_that_an_item_leaves_out_has_its_default() -> None:
    ports = at("apps", "v1", "Deployment", f"{POD}.containers.*.ports").list
    assert ports is not None
    assert ports.key_of({"containerPort": 80}) == ports.key_of({"containerPort": 80, "protocol": "TCP"})
    assert ports.key_of({"containerPort": 80, "protocol": "UDP"}) == 'k:{"containerPort":80,"protocol":"UDP"}'
    assert ports.key_of("80") is None


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (("networking.k8s.io", "v1", "NetworkPolicy"), "spec.podSelector"),
        (("policy", "v1", "PodDisruptionBudget"), "spec.selector"),
        (("", "v1", "Service"), "spec.selector"),
        (("apps", "v1", "Deployment"), f"{POD}.nodeSelector"),
        ((GROUP, "v1", "Gadget"), "spec.whole"),
    ],
)
def test_maps_and_structs_can_be_one_value(kind: tuple[str, str, str], path: str) -> None:
    found = at(*kind, path).map
    assert found is not None
    assert found.atomic


@pytest.mark.parametrize(
    ("kind", "path", "normal"),
    [
        (("apps", "v1", "Deployment"), f"{POD}.containers.*.resources.limits.cpu", "quantity"),
        (("", "v1", "Secret"), "data.any", "byte"),
        (("apps", "v1", "Deployment"), "metadata.creationTimestamp", "time"),
        (("", "v1", "Service"), "spec.ports.*.targetPort", ""),
        ((GROUP, "v1", "Gadget"), "spec.size", ""),
        ((GROUP, "v1", "Gadget"), "spec.when", ""),
    ],
)
def test_values_have_other_spellings_only_where_the_schema_names_the_type(
    kind: tuple[str, str, str], path: str, normal: str
) -> None:
    assert at(*kind, path).normal == normal


def test_custom_kinds_keep_their_extensions() -> None:
    steps = at(GROUP, "v1", "Gadget", "spec.steps").list
    assert steps is not None
    assert steps.key_of({"name": "one"}) == 'k:{"kind":"shell","name":"one"}'
    assert at(GROUP, "v1", "Gadget", "spec.free.anything.below") is DEDUCED
    labels = at(GROUP, "v1", "Gadget", "spec.template.metadata.labels")
    assert labels.map is not None
    assert labels.built_in
    assert not at(GROUP, "v1", "Gadget", "spec.limits").built_in


def test_a_field_that_the_schema_does_not_know_has_no_type() -> None:
    spec = at("apps", "v1", "Deployment", "spec").map
    assert spec is not None
    assert spec.child("replica") is None
    assert schemas().type_of("apps", "v1", "Deploymint") is None
    assert schemas().type_of("apps", "v2", "Deployment") is None


def test_a_reference_may_make_a_map_atomic() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    root: dict[str, Any] = {
        "type": "object",
        "properties": {
            "one": {"allOf": [{"$ref": "#/components/schemas/Inner"}], "x-kubernetes-map-type": "atomic"},
            "two": {"$ref": "#/components/schemas/Inner"},
        },
        "x-kubernetes-group-version-kind": [{"group": "g", "version": "v1", "kind": "Root"}],
    }
    found = Schemas.from_documents({"g/v1": {"components": {"schemas": {"Root": root, "Inner": inner}}}})
    kind = found.type_of("g", "v1", "Root")
    assert kind is not None
    assert kind.map is not None
    one, two = kind.map.child("one"), kind.map.child("two")
    assert one is not None and one.map is not None and one.map.atomic
    assert two is not None and two.map is not None and not two.map.atomic


def test_a_type_may_contain_itself() -> None:
    node = {
        "type": "object",
        "properties": {"next": {"$ref": "#/components/schemas/Node"}},
        "x-kubernetes-group-version-kind": [{"group": "g", "version": "v1", "kind": "Node"}],
    }
    found = Schemas.from_documents({"g/v1": {"components": {"schemas": {"Node": node}}}}).type_of("g", "v1", "Node")
    for _ in range(50):
        assert found is not None and found.map is not None
        found = found.map.child("next")


def test_a_custom_group_that_looks_built_in_is_not() -> None:
    schema = {
        "type": "object",
        "properties": {"data": {"type": "string", "format": "byte"}},
        "x-kubernetes-group-version-kind": [{"group": "x.api.k8s.io", "version": "v1", "kind": "Kind"}],
    }
    document = {"components": {"schemas": {"io.k8s.api.x.v1.Kind": schema}}}
    found = Schemas.from_documents({"x.api.k8s.io/v1": document}).type_of("x.api.k8s.io", "v1", "Kind")
    assert found is not None
    assert not found.built_in


def test_a_trimmed_document_says_the_same_in_less() -> None:
    full = {
        "paths": {"/x": {}},
        "components": {
            "schemas": {
                "A": {
                    "description": "prose",
                    "type": "object",
                    "properties": {"description": {"type": "string", "description": "prose", "default": {"title": 1}}},
                }
            }
        },
    }
    kept = {"type": "object", "properties": {"description": {"type": "string", "default": {"title": 1}}}}
    assert trim(full) == {"components": {"schemas": {"A": kept}}}
    assert trim(recorded("schemas")["apps/v1"]) == recorded("schemas")["apps/v1"]
