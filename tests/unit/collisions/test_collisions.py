"""A list is put back as a whole only where hand-made items stand in it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from driftline.drift.collisions import list_patch


def service(*ports: dict[str, Any], version: str = "7") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "resourceVersion": version},
        "spec": {"ports": list(ports)},
    }


def test_a_port_changed_by_hand_is_put_back_and_only_at_the_version_that_was_read() -> None:
    live = service({"name": "http", "port": 81, "protocol": "TCP", "targetPort": 81})
    patch = list_patch(service({"name": "http", "port": 80}), live)
    assert patch == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "replace", "path": "/spec/ports", "value": [{"name": "http", "port": 80}]},
    ]


def test_defaults_that_the_server_added_are_in_nobodys_way() -> None:
    live = service({"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30001})
    assert list_patch(service({"name": "http", "port": 80}), live) == []


def test_metadata_and_status_are_never_put_back() -> None:
    desired = {"metadata": {"ownerReferences": [{"a": 1}]}, "status": {"conditions": [{"a": 1}]}}
    live = {"metadata": {"ownerReferences": [{"b": 1}]}, "status": {"conditions": [{"b": 1}]}}
    assert list_patch(desired, live) == []


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_an_object_that_is_as_git_says_needs_no_patch(body: dict[str, Any]) -> None:
    assert list_patch(body, body) == []
