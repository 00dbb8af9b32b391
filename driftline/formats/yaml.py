"""YAML and JSON read as Kubernetes reads them. Called by the render helper and by every reader of declarations.

The reference is sigs.k8s.io/yaml (go-yaml v2, YAML 1.1 with its own rules for numbers); `tests/unit/formats` compares
the two over a recorded corpus. Differences, all on the strict side: a duplicate key, a tag outside YAML's core, and
content that would outgrow `Limits` are errors.

Values are built from libyaml's event stream by a loop, never by its composer: that one recurses in C and kills the
process on deeply nested input. Limits are checked at each event, before anything is made of it.
"""

import base64
import binascii
import codecs
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import orjson
import yaml

from driftline.formats.scalars import BAD_KEY, key_text, resolve, whole
from driftline.model.errors import Permanent

_Loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_CORE = "tag:yaml.org,2002:"
_MERGE = object()
_NO_KEY = object()
_OPEN = object()


@dataclass(frozen=True)
class Limits:
    """What one file may contain. `nodes` counts every scalar, list and map, with aliases written out."""

    size: int = 16 * 1024 * 1024
    depth: int = 100
    nodes: int = 1_000_000
    expanded: int = 100_000
    """How many of the nodes may come from aliases."""
    documents: int = 20_000


@dataclass(frozen=True, slots=True)
class Document:
    """One document and the line of its file, counted from 1, on which its content starts."""

    line: int
    value: Any


def load_documents(content: bytes, name: str, limits: Limits = Limits()) -> list[Any]:
    """The values of all documents of a YAML stream or JSON text; empty (null) documents are left out.

    `name` is the file for messages. Raises Permanent (`name:line: what is wrong`).
    """
    return [document.value for document in located_documents(content, name, limits)]


def located_documents(content: bytes, name: str, limits: Limits = Limits()) -> list[Document]:
    """As `load_documents`, with the line of each."""
    if len(content) > limits.size:
        raise Permanent(f"{name}: {len(content)} bytes are more than the limit of {limits.size} for one file")
    text = _decoded(content, name)
    if text.lstrip()[:1] in ("{", "[") and (found := _json(text, name, limits)) is not None:
        return [Document(1, found)]
    return list(_Builder(name, limits).documents(text))


def _decoded(content: bytes, name: str) -> str:
    """UTF-8, or UTF-16 by its byte order mark; the mark is dropped."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Permanent(f"{name}:{line}: not valid {'UTF-16' if wide else 'UTF-8'} text") from None


def _json(text: str, name: str, limits: Limits) -> Any:
    """The value of a JSON text, None if it is none (it may still be YAML in flow style)."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if name.endswith(".json"):
            raise Permanent(f"{name}:{error.lineno}: not valid JSON: {error.msg.split(':')[0]}") from None
        return None
    _count(value, name, limits)
    try:
        json.loads(text, object_pairs_hook=_unique)
    except _Duplicate as error:
        # JSON is YAML in all that matters here, and only the event stream knows the line.
        list(_Builder(name, limits).documents(text))
        raise Permanent(f"{name}: duplicate key {error}") from None
    return _whole(value)


class _Duplicate(Exception):
    """A JSON object has a key twice; the text is the key."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Duplicate(_shown(key))
        found[key] = value
    return found


def _count(value: Any, name: str, limits: Limits) -> None:
    """Refuse a JSON value that is too deep or too large. Level by level, so that depth costs no stack."""
    level, depth, nodes = [value], 0, 0
    while level:
        nodes += len(level)
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        depth += 1 if inner else 0
        if depth > limits.depth:
            raise Permanent(f"{name}: nested more than {limits.depth} levels deep")
        if nodes > limits.nodes:
            raise Permanent(f"{name}: more than {limits.nodes} values in one file")
        level = inner


def _whole(value: Any) -> Any:
    """The value with whole floats as integers, as they are after a trip through Go's JSON."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return whole(value) if isinstance(value, float) else value


def _shown(key: str) -> str:
    """A key for a message: quoted, cut when long."""
    return json.dumps(key if len(key) <= 80 else key[:77] + "...", ensure_ascii=False)


@dataclass(slots=True)
class _Frame:
    """A list or map that is still being filled."""

    value: Any
    line: int
    anchor: str | None
    nodes: int
    """The builder's count when it was opened: what came since belongs to it."""
    lines: dict[str, int] | None = None
    """For a map, where each key that it wrote itself stands."""
    key: Any = _NO_KEY
    key_line: int = 0
    height: int = 1


@dataclass(slots=True)
class _Anchor:
    value: Any
    nodes: int
    height: int


@dataclass(slots=True)
class _Builder:
    """Turns events into values for one file."""

    name: str
    limits: Limits
    nodes: int = 0
    expanded: int = 0
    stack: list[_Frame] = field(default_factory=list)
    anchors: dict[str, _Anchor] = field(default_factory=dict)
    root: Any = None

    def documents(self, text: str) -> Iterator[Document]:
        """Each document that is not null."""
        parser = _Loader(text)
        count, line = 0, 1
        try:
            while True:
                event: Any = parser.get_event()
                kind = type(event)
                if kind is yaml.ScalarEvent:
                    self._scalar(event)
                elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                    self._open(event, kind is yaml.MappingStartEvent)
                elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                    self._close()
                elif kind is yaml.AliasEvent:
                    self._alias(event)
                elif kind is yaml.DocumentStartEvent:
                    self.anchors, self.root, line = {}, None, 0
                    count += 1
                    if count > self.limits.documents:
                        self._fail(event, f"more than {self.limits.documents} documents in one file")
                elif kind is yaml.DocumentEndEvent:
                    if self.root is not None:
                        yield Document(line, self.root)
                elif kind is yaml.StreamEndEvent:
                    return
                if not line and kind is not yaml.DocumentStartEvent:
                    line = event.start_mark.line + 1
        except yaml.MarkedYAMLError as error:
            raise Permanent(f"{self.name}:{_syntax(error)}") from None
        except yaml.reader.ReaderError as error:
            at = text.encode()[: error.position].count(b"\n") + 1
            raise Permanent(f"{self.name}:{at}: {error.reason}") from None
        finally:
            parser.dispose()

    def _fail(self, event: Any, message: str) -> NoReturn:
        raise Permanent(f"{self.name}:{event.start_mark.line + 1}: {message}") from None

    def _grow(self, event: Any, nodes: int = 1) -> None:
        self.nodes += nodes
        if self.nodes > self.limits.nodes:
            self._fail(event, f"more than {self.limits.nodes} values in one file")

    def _open(self, event: Any, mapping: bool) -> None:
        if len(self.stack) >= self.limits.depth:
            self._fail(event, f"nested more than {self.limits.depth} levels deep")
        core = _CORE + ("map" if mapping else "seq")
        if event.tag not in (None, "!", core):
            self._fail(event, f"the tag {_tag(event.tag)} is not allowed: Kubernetes has plain lists and maps only")
        if self.stack and self.stack[-1].lines is not None and self.stack[-1].key is _NO_KEY:
            self._fail(event, "a list or map cannot be a key")
        self._grow(event)
        frame = _Frame({} if mapping else [], event.start_mark.line + 1, event.anchor, self.nodes)
        frame.lines = {} if mapping else None
        if event.anchor:
            self.anchors[event.anchor] = _Anchor(_OPEN, 0, 0)
        self.stack.append(frame)

    def _close(self) -> None:
        frame = self.stack.pop()
        if frame.anchor:
            self.anchors[frame.anchor] = _Anchor(frame.value, self.nodes - frame.nodes + 1, frame.height)
        self._put(frame.value, frame.height, frame.line)

    def _scalar(self, event: Any) -> None:
        self._grow(event)
        text, tag = event.value, event.tag
        stack = self.stack
        if stack and (frame := stack[-1]).key is _NO_KEY and frame.lines is not None:
            self._key(frame, event)
            return
        value = self._tagged(event) if tag else resolve(text) if event.implicit[0] else text
        if value.__class__ is float:
            if not math.isfinite(value):
                self._fail(event, "infinity and NaN do not exist in JSON")
            value = whole(value)
        if event.anchor:
            self.anchors[event.anchor] = _Anchor(value, 1, 0)
        self._put(value, 0, event.start_mark.line + 1)

    def _key(self, frame: _Frame, event: Any) -> None:
        """Take a scalar as the key of the map that is open."""
        tag, text, plain = event.tag, event.value, event.implicit[0]
        line = event.start_mark.line + 1
        frame.key_line = line
        if text == "<<" and (plain or tag == _CORE + "merge"):
            frame.key = _MERGE
            return
        value = self._tagged(event) if tag else resolve(text) if plain else text
        if event.anchor:
            self.anchors[event.anchor] = _Anchor(value, 1, 0)
        self._set_key(frame, value, event)

    def _set_key(self, frame: _Frame, value: Any, event: Any) -> None:
        key = value if value.__class__ is str else key_text(value)
        if key is BAD_KEY:
            self._fail(event, "null or an oversized number cannot be a key: put it in quotes")
        lines = frame.lines
        assert lines is not None
        if key in lines:
            self._fail(event, f"duplicate key {_shown(key)}, first given on line {lines[key]}")
        lines[key] = event.start_mark.line + 1
        frame.key = key
        frame.key_line = event.start_mark.line + 1

    def _tagged(self, event: Any) -> Any:
        """The value of a scalar with an explicit tag of YAML's core."""
        tag, text = event.tag, event.value
        if tag == "!" or tag == _CORE + "str":
            return text
        if tag == _CORE + "binary":
            try:
                return base64.b64decode(re.sub(r"[\r\n]", "", text), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                self._fail(event, "!!binary does not hold base64 of a text")
        if tag == _CORE + "timestamp" and re.match(r"\d{4}-\d", text):
            return text
        value = resolve(text)
        wanted = {"int": int, "float": float, "bool": bool, "null": type(None)}.get(tag.removeprefix(_CORE))
        if wanted is None and tag != _CORE + "timestamp":
            self._fail(event, f"the tag {_tag(tag)} is not allowed: it names no type that Kubernetes knows")
        if value.__class__ is not wanted and not (wanted is float and value.__class__ is int):
            self._fail(event, f"the value does not fit its tag {_tag(tag)}")
        return value

    def _alias(self, event: Any) -> None:
        anchor = self.anchors.get(event.anchor)
        if anchor is None:
            self._fail(event, f"unknown anchor {_shown(event.anchor)}")
        if anchor.value is _OPEN:
            self._fail(event, f"the anchor {_shown(event.anchor)} contains itself")
        self.expanded += anchor.nodes
        if self.expanded > self.limits.expanded:
            self._fail(event, f"its aliases stand for more than {self.limits.expanded} values")
        self._grow(event, anchor.nodes)
        if len(self.stack) + anchor.height > self.limits.depth:
            self._fail(event, f"nested more than {self.limits.depth} levels deep")
        frame = self.stack[-1] if self.stack else None
        if frame is not None and frame.lines is not None and frame.key is _NO_KEY:
            if isinstance(anchor.value, (dict, list)):
                self._fail(event, "a list or map cannot be a key")
            self._set_key(frame, anchor.value, event)
            return
        if frame is not None and frame.key is _MERGE and not isinstance(anchor.value, dict):
            self._fail(event, "<< wants a map or a list of maps")
        self._put(_copy(anchor.value), anchor.height, event.start_mark.line + 1)

    def _put(self, value: Any, height: int, line: int) -> None:
        """Hand a finished value to what is open."""
        if not self.stack:
            self.root = value
            return
        frame = self.stack[-1]
        if height >= frame.height:
            frame.height = height + 1
        if frame.lines is None:
            frame.value.append(value)
            return
        if frame.key is _MERGE:
            self._merge(frame.value, value, line)
        else:
            frame.value[frame.key] = value
        frame.key = _NO_KEY

    def _merge(self, target: dict[str, Any], value: Any, line: int) -> None:
        """`<<`: what is written later wins, as go-yaml has it; of a list of maps, the earlier."""
        maps = value if isinstance(value, list) else [value]
        if not all(isinstance(one, dict) for one in maps):
            raise Permanent(f"{self.name}:{line}: << wants a map or a list of maps")
        for one in reversed(maps):
            target.update(one)


def _syntax(error: yaml.MarkedYAMLError) -> str:
    """Line and cause of a syntax error, with what it was part of where that began on another line."""
    mark, context = error.problem_mark or error.context_mark, error.context_mark
    line = mark.line + 1 if mark else 1
    began = f" ({error.context}, line {context.line + 1})" if context and context.line + 1 != line else ""
    return f"{line}: {error.problem}{began}"


def _copy(value: Any) -> Any:
    """A copy that shares nothing with the anchor's value. As deep as the limit allows, so recursion is safe."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value


def _tag(tag: str) -> str:
    """A tag as people write it."""
    return _shown(tag.replace(_CORE, "!!"))
