"""The update of objects that cannot be applied: Git's values, no more what Git dropped, and what is others'."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from driftline.drift.clientside import compare_client_side, merged, put_before, repeats, why_client_side
from driftline.drift.context import Context
from driftline.drift.fields import fields_of
from driftline.model.drift import VerdictState
from driftline.model.marks import Marks
from driftline.model.objects import Object

NAMES = st.sampled_from("abcd")
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.integers(0, 3) | st.sampled_from(["x", "y"]),
    lambda inner: st.dictionaries(NAMES, inner, min_size=1),
    max_leaves=6,
)
SPECS = st.dictionaries(NAMES, VALUES)
CONTEXT = Context(None, Marks("a" * 26, "shop"))


def _object(spec: dict[str, Any], **metadata: Any) -> Object:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", **metadata}, "spec": spec}


def _leaves(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(value, dict):
        return {path: value}
    return {place: leaf for name, inner in value.items() for place, leaf in _leaves(inner, (*path, name)).items()}


@given(SPECS, SPECS, SPECS)
def test_the_update_sets_what_git_sets_and_drops_only_what_git_dropped(
    git: dict[str, Any], before: dict[str, Any], live: dict[str, Any]
) -> None:
    desired, found = _object(git), _object(live, resourceVersion="7", uid="u")
    applied = fields_of(_object(before), None)
    made = merged(desired, found, applied, None)
    assert made["metadata"]["resourceVersion"] == "7"
    result, wanted = _leaves(made["spec"]), _leaves(git)
    assert wanted.items() <= result.items()
    once, there = _leaves(before), _leaves(live)
    for place, value in result.items():
        assert place in wanted or there.get(place) == value, "nothing is invented"
    for place, value in there.items():
        if place in wanted or any(place[: len(short)] == short for short in (*wanted, *once)):
            continue
        if any(longer[: len(place)] == place for longer in (*wanted, *once)):
            continue
        assert result.get(place) == value, "what is others' stays"
    for place in once.keys() - wanted.keys():
        same_kind = place in there and not any(longer[: len(place)] == place for longer in wanted)
        assert not same_kind or place not in result, "what Git has dropped goes"
    after = Context(None, CONTEXT.marks, applied=fields_of(desired, None))
    assert compare_client_side(desired, made, after).state is VerdictState.SYNCED
    assert merged(desired, made, fields_of(desired, None), None) == made, "the second time nothing changes"


def test_only_lists_that_repeat_are_looked_at_closely() -> None:
    assert not repeats({"spec": {"ports": [{"port": 1}, {"port": 2}], "args": ["a", "a"]}})
    assert repeats({"spec": {"ports": [{"port": 1}, {"port": 1}]}})
    assert why_client_side(_object({"ports": [{"port": 1}, {"port": 1}]}), None) == "", "a list without keys may repeat"


def test_our_apply_entry_does_not_outlive_the_update() -> None:
    entries = [
        {"manager": "driftline", "operation": "Apply", "fieldsV1": {"f:spec": {}}},
        {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}},
    ]
    live = _object({}, managedFields=entries)
    kept = merged(_object({}), live, fields_of(_object({}), None), None)["metadata"]["managedFields"]
    assert [each["manager"] for each in kept] == ["kubectl"]
    assert merged(_object({}), _object({}), fields_of(_object({}), None), None)["metadata"]["managedFields"] == [{}]
    assert not put_before(live) and put_before(_object({}, managedFields=[{"manager": "driftline-client-side"}]))
