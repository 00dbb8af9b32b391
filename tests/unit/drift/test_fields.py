"""Field sets are those that the API server records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.drift.fields import FieldSet, claims_of, fields_of, owned_by
from driftline.drift.fieldtrees import Tree
from driftline.drift.paths import Path
from tests.drift.catalogue import GROUP, OBJECTS
from tests.unit.drift.known import applied, type_of


@pytest.mark.parametrize("resource", OBJECTS)
@pytest.mark.covers("CMP-08")
def test_the_set_of_an_object_is_the_one_that_its_apply_left(resource: str) -> None:
    owned = owned_by(applied(resource))
    assert owned is not None
    assert (fields_of(OBJECTS[resource], type_of(OBJECTS[resource])), OBJECTS[resource]["apiVersion"]) == owned


def test_another_manager_operation_or_subresource_is_not_ours() -> None:
    live = applied("v1/configmaps")
    assert owned_by(live, "kubectl") is None
    assert owned_by(live, operation="Update") is None
    assert owned_by(live, subresource="status") is None
    assert owned_by({"metadata": {"managedFields": [{}]}}) is None


def test_status_and_what_names_the_object_are_no_claim() -> None:
    body = OBJECTS["v1/configmaps"]
    named = {**body, "status": {"x": 1}, "metadata": {**body["metadata"], "uid": "1", "namespace": "n"}}
    assert fields_of(named, type_of(body)) == fields_of(body, type_of(body))
    assert not fields_of({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}, type_of(body))


def test_what_a_schema_cannot_vouch_for_is_named() -> None:
    gadget = OBJECTS[f"{GROUP}/v1/gadgets"]
    odd = {**gadget, "spec": {"mode": None, "nope": 1, "tags": ["x", "x"], "steps": [{"run": "a", "kind": "k"}, "b"]}}
    claims = claims_of(odd, type_of(gadget))
    assert claims.nulls == (("f:spec", "f:mode"),)
    assert ("f:spec", "f:nope") in claims.unknown
    assert ("f:spec", "f:steps") in claims.unknown
    assert claims.duplicates == (("f:spec", "f:tags", 'v:"x"'),)


def test_spelling_does_not_tell_sets_apart() -> None:
    go: Tree = {"f:a": {'k:{"b":"\\u0026","a":1}': {".": {}, "f:x": {}}, "f:b": {".": {}}}}
    ours: Tree = {"f:a": {'k:{"a":1,"b":"&"}': {"f:x": {}, ".": {}}, "f:b": {}}}
    assert FieldSet.parse(go) == FieldSet.parse(ours)
    assert FieldSet.parse({"f:a": {}, "z:new": {}}) == FieldSet.parse({"f:a": {}})


def test_a_value_claimed_as_one_covers_what_is_in_it() -> None:
    fields = FieldSet.parse({"f:a": {}, "f:b": {".": {}, "f:c": {}}, "f:d": {"f:e": {}}})
    assert fields.covers(("f:a", "f:x"))
    assert not fields.covers(("f:b", "f:x"))
    assert not fields.covers(("f:d",))
    assert fields.touches(("f:d",))
    assert fields.has(("f:b",))
    assert not fields.has(("f:d",))


ELEMENTS = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"'])
PATHS = st.lists(ELEMENTS, min_size=1, max_size=3).map(tuple)
SETS = st.sets(PATHS, max_size=6)


@given(SETS, SETS)
def test_sets_of_fields_are_sets_of_paths(left: set[Path], right: set[Path]) -> None:
    one, other = FieldSet.of(*left), FieldSet.of(*right)
    assert set(one.members()) == left
    assert set(one.union(other).members()) == left | right
    assert set(one.difference(other).members()) == left - right
    assert set(one.intersection(other).members()) == left & right
    assert (one == other) == (left == right)
    assert bool(one) == bool(left)
    assert FieldSet.parse(one.to_fields_v1()) == one


@given(SETS, PATHS)
def test_without_takes_a_path_and_all_below(paths: set[Path], path: Path) -> None:
    left = {each for each in paths if each[: len(path)] != path}
    assert set(FieldSet.of(*paths).without(path).members()) == left
