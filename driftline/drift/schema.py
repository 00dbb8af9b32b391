"""The types that server-side apply uses, read from an API server's OpenAPI v3 documents. Called by every comparison.

What counts as one value and what is merged is decided by the schema alone: atomic lists, maps and structs, list items
paired by key, sets. The rules are those of the API server (kube-openapi's `schemaconv`), so that field sets computed
here equal those it records.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

Schema = Mapping[str, Any]

_REFERENCE: Final = "#/components/schemas/"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_RAW_EXTENSION: Final = "io.k8s.apimachinery.pkg.runtime.RawExtension"
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_NORMAL: Final = {_QUANTITY: "quantity", f"{_META}Time": "time", f"{_META}MicroTime": "microtime"}
_BUILT_IN: Final = (
    "io.k8s.api.",
    "io.k8s.apimachinery.pkg.",
    "io.k8s.apiextensions-apiserver.pkg.",
    "io.k8s.kube-aggregator.pkg.",
)
_LIST_TYPES: Final = {"atomic": "atomic", "set": "set", "map": "map"}


class MapType:
    """An object: declared fields (a struct), free keys of one type (a map), or both."""

    __slots__ = ("_children", "_owner", "_properties", "_rest", "atomic")

    def __init__(self, schema: Schema, owner: "Type") -> None:
        self._owner = owner
        self._properties: Mapping[str, Schema] = schema.get("properties") or {}
        self._rest: Schema | bool | None = schema.get("additionalProperties")
        self._children: dict[str, Type | None] = {}
        self.atomic = schema.get("x-kubernetes-map-type") == "atomic"

    def declares(self, name: str) -> bool:
        """Whether the schema names this field."""
        return name in self._properties

    @property
    def struct(self) -> bool:
        """Whether the schema names any field; a map of free keys does not."""
        return bool(self._properties)

    def child(self, name: str) -> "Type | None":
        """The type of a field or key; None if the schema has no place for it."""
        try:
            return self._children[name]
        except KeyError:
            found = self._children[name] = self._find(name)
            return found

    def default(self, name: str) -> Any:
        """The default that the schema states for a field, None if it states none."""
        return (self._properties.get(name) or {}).get("default")

    def _find(self, name: str) -> "Type | None":
        if name in self._properties:
            return self._owner.inner(self._properties[name])
        if self._rest is None:
            return DEDUCED if self._owner.preserves or not self._properties else None
        if isinstance(self._rest, Mapping):
            return self._owner.inner(self._rest)
        return DEDUCED if self._rest else None


class ListType:
    """A list: one value as a whole (`atomic`), a `set` of scalars, or a `map` of items paired by `keys`."""

    __slots__ = ("_element", "_items", "_owner", "keys", "kind")

    def __init__(self, schema: Schema, owner: "Type") -> None:
        self._owner = owner
        self._items: Schema | None = schema.get("items")
        self._element: Type | None = None
        self.kind, self.keys = _list_kind(schema)

    @property
    def atomic(self) -> bool:
        return self.kind == "atomic"

    @property
    def element(self) -> "Type":
        if self._element is None:
            self._element = UNTYPED if self._items is None else self._owner.inner(self._items)
        return self._element

    def key_of(self, item: Any) -> str | None:
        """The path element of an item (`k:{...}`, missing keys from defaults, or `v:...`); None if it has none."""
        if self.kind == "set":
            return None if item is None or isinstance(item, dict | list) else value_element(item)
        if not isinstance(item, dict):
            return None
        found: dict[str, Any] = {}
        for key in self.keys:
            value = item[key] if key in item else self._default(key)
            if value is not None or key in item:
                found[key] = value
        return key_element(found) if found else None

    def _default(self, key: str) -> Any:
        element = self.element.map
        return element.default(key) if element else None


class Type:
    """What one value may be: more than one of `scalar`, `map` and `list` where the schema leaves the kind open."""

    __slots__ = ("_definitions", "built_in", "list", "map", "normal", "preserves", "scalar")

    def __init__(
        self,
        schema: Schema,
        definitions: "_Definitions",
        built_in: bool = False,
        preserves: bool = False,
        normal: str = "",
    ) -> None:
        kind = schema.get("type", "")
        self._definitions = definitions
        self.built_in = built_in
        self.preserves = preserves or schema.get("x-kubernetes-preserve-unknown-fields") is True
        self.normal = normal or ("byte" if built_in and kind == "string" and schema.get("format") == "byte" else "")
        """How values are brought to one spelling: `quantity`, `time`, `microtime`, `byte`, or not at all."""
        self.scalar = kind not in ("object", "array")
        self.map = MapType(schema, self) if kind in ("object", "") and not normal else None
        self.list = ListType(schema, self) if kind in ("array", "") and not normal else None

    def inner(self, schema: Schema) -> "Type":
        """The type of a member, which may be a reference to a named definition."""
        name = _reference(schema)
        if name:
            return self._definitions.named(name, str(schema.get("x-kubernetes-map-type", "")))
        return Type(schema, self._definitions, self.built_in, self.preserves)


class _Definitions:
    """The named schemas of one document and the types made from them so far."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas
        self._types: dict[tuple[str, str], Type] = {}
        self.kinds = {kind: name for name, schema in schemas.items() for kind in _kinds(schema)}

    def named(self, name: str, relation: str = "") -> Type:
        """A named type; `relation` is the map-type that the referring field prescribes, or empty."""
        found = self._types.get((name, relation))
        if found is None:
            found = self._types[name, relation] = self._make(name, relation)
        return found

    def _make(self, name: str, relation: str) -> Type:
        schema = self._schemas.get(name)
        if schema is None or name == _RAW_EXTENSION:
            return UNTYPED
        if relation:
            schema = {**schema, "x-kubernetes-map-type": relation}
        built_in = name.startswith(_BUILT_IN) and not any(group.endswith("api.k8s.io") for group, *_ in _kinds(schema))
        return Type(schema, self, built_in, normal=_NORMAL.get(name, ""))


class Schemas:
    """The types of one cluster, found by group, version and kind."""

    def __init__(self, documents: Mapping[str, "_Definitions"]) -> None:
        self._documents = documents

    @classmethod
    def from_documents(cls, documents: Mapping[str, Schema]) -> "Schemas":
        """Read OpenAPI v3 documents by group version (`apps/v1`, `v1`). Types are made when first asked for."""
        found = {}
        for group_version, document in documents.items():
            found[group_version] = _Definitions((document.get("components") or {}).get("schemas") or {})
        return cls(found)

    def type_of(self, group: str, version: str, kind: str) -> Type | None:
        """The type of a kind; None if its document was not given or does not describe it."""
        document = self._documents.get(f"{group}/{version}" if group else version)
        name = document.kinds.get((group, version, kind)) if document else None
        return document.named(name) if document and name else None


def trim(document: Schema) -> dict[str, Any]:
    """What this module reads of a document: the definitions without prose, paths and examples."""
    schemas = (document.get("components") or {}).get("schemas") or {}
    return {"components": {"schemas": {name: _bare(schema) for name, schema in schemas.items()}}}


def key_element(keys: Mapping[str, Any]) -> str:
    """The path element of a list item with these key fields."""
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def value_element(value: Any) -> str:
    """The path element of a member of a set."""
    return "v:" + orjson.dumps(value).decode()


_PROSE: Final = frozenset({"description", "example", "externalDocs", "title"})


def _bare(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_bare(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {field: _bare(inner) for field, inner in value.items()}
        if name == "properties" and isinstance(value, dict)
        else value
        if name == "default"
        else _bare(value)
        for name, value in schema.items()
        if name not in _PROSE
    }


def _kinds(schema: Schema) -> Iterator[tuple[str, str, str]]:
    for entry in schema.get("x-kubernetes-group-version-kind") or ():
        yield str(entry.get("group", "")), str(entry.get("version", "")), str(entry.get("kind", ""))


def _reference(schema: Schema) -> str:
    """The definition that a schema refers to. A reference with siblings stands alone inside `allOf`."""
    reference = schema.get("$ref")
    parts = schema.get("allOf")
    if not reference and parts and len(parts) == 1:
        reference = parts[0].get("$ref")
    return str(reference).removeprefix(_REFERENCE) if reference else ""


def _list_kind(schema: Schema) -> tuple[str, tuple[str, ...]]:
    declared = schema.get("x-kubernetes-list-type")
    if declared:
        kind = _LIST_TYPES.get(str(declared), "atomic")
        return kind, tuple(schema.get("x-kubernetes-list-map-keys") or ()) if kind == "map" else ()
    if schema.get("x-kubernetes-patch-strategy") in ("merge", "merge,retainKeys"):
        key = schema.get("x-kubernetes-patch-merge-key")
        return ("map", (str(key),)) if key else ("set", ())
    return "atomic", ()


_NO_DEFINITIONS = _Definitions({})
UNTYPED: Final = Type({"x-kubernetes-map-type": "atomic"}, _NO_DEFINITIONS)
"""Anything, as one value."""
DEDUCED: Final = Type({}, _NO_DEFINITIONS)
"""Anything: objects are merged by key, lists are one value. What a schema leaves open is treated so."""
