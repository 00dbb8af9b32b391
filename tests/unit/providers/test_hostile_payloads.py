"""Whatever stands in a payload, it is read, ignored or called malformed; nothing else ever happens."""

import copy
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.model.push import Push
from service.providers.host import Malformed
from service.providers.table import HOSTS
from tests.kit import payloads
from tests.kit.payloads import Delivery

MISSING = object()
REPLACEMENTS: tuple[object, ...] = (
    None,
    [],
    {},
    "",
    "text",
    "a\x00b",
    0,
    -1,
    1.5,
    True,
    False,
    [None],
    [[]],
    [{}],
    {"href": 1},
    MISSING,
)
SAMPLES = payloads.samples()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def with_replaced(payload: Any, path: tuple[Any, ...], new: object) -> Any:
    changed = copy.deepcopy(payload)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    if new is MISSING:
        del holder[path[-1]]
    else:
        holder[path[-1]] = new
    return changed


def read(delivery: Delivery, payload: Any) -> Push | None:
    headers = {name.lower(): value for name, value in delivery.headers.items()}
    try:
        return HOSTS[delivery.provider].parse(headers, payload)
    except Malformed:
        return None


def sound(push: Push) -> None:
    """What is understood can be kept: either changes of a named repository or a reason why there is nothing to do."""
    assert bool(push.changes) is not bool(push.ignored)
    assert push.delivery_id
    assert not push.changes or push.repo_urls
    for text in (push.event, push.delivery_id, push.default_branch, push.pusher, push.ignored, *push.repo_urls):
        assert "\x00" not in text
    for change in push.changes:
        assert change.ref.startswith(("refs/heads/", "refs/tags/"))
        assert change.after == "" or len(change.after) in (40, 64)


@pytest.mark.parametrize(("name", "delivery"), SAMPLES, ids=[name for name, _ in SAMPLES])
def test_any_field_replaced_by_anything(name: str, delivery: Delivery) -> None:
    sound(read(delivery, copy.deepcopy(delivery.payload)) or pytest.fail(f"{name} itself is malformed"))
    for path in places(delivery.payload):
        for new in REPLACEMENTS:
            if push := read(delivery, with_replaced(delivery.payload, path, new)):
                sound(push)


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=15,
)
KNOWN_NAMES = st.sampled_from(
    ["ref", "before", "after", "repository", "project", "push", "changes", "resource", "refUpdates", "links", "clone",
     "eventType", "event_name", "object_kind", "new", "old", "ref_type", "html_url", "href", "self", "deleted"]
)  # fmt: skip


@given(payload=st.dictionaries(KNOWN_NAMES, JSON_VALUES | st.dictionaries(KNOWN_NAMES, JSON_VALUES)), data=st.data())
def test_any_document_at_all(payload: dict[str, Any], data: st.DataObject) -> None:
    delivery = data.draw(st.sampled_from([delivery for _, delivery in SAMPLES]))
    if push := read(delivery, payload):
        sound(push)


@pytest.mark.parametrize("text", ["🚢", "a" * 10_000_000, "refs/heads/" + "x" * 10_000_000])
def test_ten_megabytes_in_every_field(text: str) -> None:
    for _, delivery in SAMPLES[:12]:
        for path in places(delivery.payload):
            if len(path) <= 2:
                started = time.process_time()
                if push := read(delivery, with_replaced(delivery.payload, path, text)):
                    sound(push)
                assert time.process_time() - started < 1
