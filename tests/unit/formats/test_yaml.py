"""Files as people write them and as attackers do: what is read, what is refused, and in which words."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.formats.scalars import whole
from driftline.formats.yaml import Limits, load_documents, located_documents
from driftline.model.errors import Permanent


def refusal(content: str | bytes, name: str = "app.yaml", limits: Limits | None = None) -> str:
    """The message with which a file is refused."""
    with pytest.raises(Permanent) as caught:
        load_documents(content if isinstance(content, bytes) else content.encode(), name, limits or Limits())
    return caught.value.message


def test_documents_come_in_order_with_their_lines_and_empty_ones_are_dropped() -> None:
    text = b"# head\n---\na: 1\n---\n# nothing\n---\n- b\n---\nnull\n...\n---\n\nc: 2\n"
    assert [(one.line, one.value) for one in located_documents(text, "f")] == [
        (3, {"a": 1}),
        (7, ["b"]),
        (13, {"c": 2}),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_utf8_and_utf16_with_or_without_mark(encoding: str) -> None:
    assert load_documents("grüße: ☃\n".encode(encoding), "f") == [{"grüße": "☃"}]


def test_json_keeps_what_yaml_would_not_read() -> None:
    assert load_documents(b'{\n\t"a": "\\ud83d\\ude00",\t"b": 1.0, "c": 2.5}', "f.json") == [
        {"a": "😀", "b": 1, "c": 2.5}
    ]
    assert load_documents(b"{a: yes}", "f.yaml") == [{"a": True}]


def test_a_duplicate_key_is_an_error_with_both_lines() -> None:
    assert refusal("a: 1\nb:\n  x: 1\n  y: 2\n  x: 3\n") == 'app.yaml:5: duplicate key "x", first given on line 3'
    assert refusal('{"a": 1,\n "b": {"a": 1,\n "a": 2}}', "f.json") == (
        'f.json:3: duplicate key "a", first given on line 2'
    )
    assert refusal("on: 1\ntrue: 2\n") == 'app.yaml:2: duplicate key "true", first given on line 1'


def test_merged_keys_may_be_overridden_and_are_no_duplicates() -> None:
    text = b"base: &b {k: 1, l: [1]}\nuse:\n  <<: *b\n  k: 2\n"
    (found,) = load_documents(text, "f")
    assert found["use"] == {"k": 2, "l": [1]}
    assert found["use"]["l"] is not found["base"]["l"], "aliases are copies: changing one must not change the other"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b: c\n", "app.yaml:1: mapping values are not allowed in this context"),
        ("a:\n\tb: 1\n", "app.yaml:2: found character that cannot start any token"),
        ("a: 1\nb: 'x\n", "app.yaml:3: found unexpected end of stream (while scanning a quoted scalar, line 2)"),
        ("x: 1\na: *nope\n", 'app.yaml:2: unknown anchor "nope"'),
        ("a: &x [*x]\n", 'app.yaml:1: the anchor "x" contains itself'),
        ("a: .inf\n", "app.yaml:1: infinity and NaN do not exist in JSON"),
        ("? [a]\n: b\n", "app.yaml:1: a list or map cannot be a key"),
        ("~: b\n", "app.yaml:1: null or an oversized number cannot be a key: put it in quotes"),
        ("a: 1\n<<: 1\n", "app.yaml:2: << wants a map or a list of maps"),
        ("a: !!int x\n", 'app.yaml:1: the value does not fit its tag "!!int"'),
        ("ok: 1\nbad: \x07\n", "app.yaml:2: control characters are not allowed"),
    ],
)
def test_faults_are_named_with_their_line(text: str, message: str) -> None:
    assert refusal(text) == message


def test_text_that_is_no_text_is_named_with_its_line() -> None:
    assert refusal(b"a: 1\nb: \xff\n") == "app.yaml:2: not valid UTF-8 text"
    assert refusal(b'{"a": \n NaN}', "f.json").startswith("f.json:2: not valid JSON")


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system [ls]\n",
        "!!python/object/new:os.system [ls]\n",
        "a: !!python/name:os.system\n",
        "!Ref {a: 1}\n",
        "a: !secret x\n",
        "!!set {a, b}\n",
    ],
)
def test_tags_beyond_the_core_are_refused(text: str) -> None:
    assert "is not allowed" in refusal(text)


@pytest.mark.parametrize("opening", ["[", "- ", "{a: ", '{"a":', "[[1],"])
@pytest.mark.parametrize("name", ["f.yaml", "f.json"])
def test_deep_nesting_is_refused_early_and_kills_nothing(opening: str, name: str) -> None:
    started = time.monotonic()
    message = refusal(opening * 400_000, name)
    assert "levels deep" in message or "not valid JSON" in message
    assert time.monotonic() - started < 2


def bomb(line: str, levels: int = 9) -> str:
    """Nine references to the level before, `levels` times."""
    names = "abcdefghijkl"
    rows = [line.format(name=names[i + 1], refs=",".join([f"*{names[i]}"] * 9)) for i in range(levels)]
    return "a: &a {x: 1, y: 2}\n" + "".join(rows)


@pytest.mark.parametrize("line", ["{name}: &{name} [{refs}]\n", "{name}: &{name} {{<<: [{refs}]}}\n"])
def test_alias_and_merge_bombs_are_refused_before_they_grow(line: str) -> None:
    started = time.monotonic()
    assert "its aliases stand for more than 100000 values" in refusal(bomb(line))
    assert time.monotonic() - started < 0.5


def test_depth_counts_through_aliases() -> None:
    text = f"a: &a {'[' * 60}{']' * 60}\nb: {'[' * 60}*a{']' * 60}\n"
    assert refusal(text) == "app.yaml:2: nested more than 100 levels deep"


def test_sizes_are_capped() -> None:
    assert refusal("a: 1", limits=Limits(size=3)) == "app.yaml: 4 bytes are more than the limit of 3 for one file"
    assert refusal("[1,2,3]", limits=Limits(nodes=3)) == "app.yaml: more than 3 values in one file"
    assert refusal("- 1\n- 2\n- 3", limits=Limits(nodes=3)) == "app.yaml:3: more than 3 values in one file"
    assert refusal("---\n---\n---\n", limits=Limits(documents=2)) == "app.yaml:3: more than 2 documents in one file"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def narrowed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: narrowed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [narrowed(item) for item in value]
    return whole(value) if isinstance(value, float) else value


@given(value=json_values)
def test_json_reads_the_same_through_both_readers(value: Any) -> None:
    want = [] if value is None else [narrowed(value)]
    text = json.dumps(value, ensure_ascii=False)
    assert load_documents(text.encode(), "f.json") == want
    assert load_documents(f"--- {text}\n".encode(), "f.yaml") == want


@given(content=st.binary(max_size=200) | st.text("{}[]:,&*!|>-'\"#%@ \n\tax1<?~", max_size=60).map(str.encode))
def test_no_bytes_raise_anything_but_a_named_error(content: bytes) -> None:
    message = "f.yaml:"
    try:
        load_documents(content, "f.yaml")
    except Permanent as error:
        message = error.message
    assert message.startswith("f.yaml:")
