"""Differences that nobody wants to hear of: `ignoreDifferences`, and a few that the control plane makes by itself.

A rule is resolved to places in the objects at hand; these are taken out of both sides before they are compared.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from driftline.drift import jq
from driftline.drift.context import Context
from driftline.drift.fields import FieldSet, entries_of
from driftline.drift.paths import NOTHING, Path, Pointer, elements_of, locate, parse_pointer
from driftline.drift.schema import Type
from driftline.model.application import IgnoreRule
from driftline.model.objects import Key, Object, key_of

SYSTEM: Final = (
    IgnoreRule(
        kind="DaemonSet",
        group="apps",
        json_pointers=("/metadata/annotations/deprecated.daemonset.template.generation",),
    ),
    IgnoreRule(
        kind="Deployment", group="apps", json_pointers=("/metadata/annotations/deployment.kubernetes.io~1revision",)
    ),
    # The control plane fills the rules of an aggregated ClusterRole, whatever Git says.
    IgnoreRule(
        kind="ClusterRole",
        group="rbac.authorization.k8s.io",
        jq_paths=("select(.aggregationRule) | .rules",),
    ),
)
"""What the control plane writes by itself into fields that manifests often carry."""


@dataclass(frozen=True)
class Sifted:
    """The objects without the ignored places, and the field paths of these places."""

    desired: Object
    live: Object
    predicted: Object
    paths: tuple[Path, ...] = ()

    def fields(self, fields: FieldSet) -> FieldSet:
        """A field set without the ignored paths."""
        for path in self.paths:
            fields = fields.without(path)
        return fields


def sift(desired: Object, live: Object, predicted: Object | None, context: Context) -> Sifted:
    """Take ignored places out of all three objects. Rules that are not understood take nothing out."""
    predicted = live if predicted is None else predicted
    rules = rules_for(key_of(desired), context.ignore)
    if not rules:
        return Sifted(desired, live, predicted)
    paths: dict[Path, None] = {}
    bodies = []
    for body in (desired, live, predicted):
        places = list(_places(rules, body, live, context.type))
        paths.update(
            dict.fromkeys(
                elements_of(body, place, context.type) for place in places if _exact(body, place, context.type)
            )
        )
        bodies.append(without(body, places))
    return Sifted(bodies[0], bodies[1], bodies[2], tuple(path for path in paths if path))


def respect(desired: Object, live: Object, rules: Iterable[IgnoreRule], type_: Type | None) -> Object:
    """The object to apply when ignored fields are to be left alone: they carry live's values, or are not set.

    Dropping them instead would make the API server remove what our field manager alone owns.
    """
    found = rules_for(key_of(desired), rules)
    body = desired
    for place in _places(found, desired, live, type_):
        path = elements_of(desired, place, type_)
        there = locate(live, path, type_) if len(path) == len(place) else None
        body = without(body, [place]) if there is None else _with(body, place, there[1])
    return body


def warnings(rules: Iterable[IgnoreRule]) -> tuple[str, ...]:
    """What in these rules is not understood, in words for people; such an expression ignores nothing."""
    found = []
    for rule in rules:
        for pointer in rule.json_pointers:
            if parse_pointer(pointer) is None:
                found.append(f"ignoreDifferences of {rule.kind}: {pointer!r} is no JSON pointer; it begins with /")
        for expression in rule.jq_paths:
            try:
                jq.compiled(expression)
            except jq.NotUnderstood as refusal:
                found.append(f"ignoreDifferences of {rule.kind}: {refusal}")
    return tuple(found)


def rules_for(key: Key, rules: Iterable[IgnoreRule]) -> tuple[IgnoreRule, ...]:
    """The rules that speak of an object, the system's own among them."""
    return tuple(rule for rule in (*SYSTEM, *rules) if _speaks_of(rule, key))


def without(body: Any, places: Iterable[Pointer]) -> Any:
    """A copy without the given places; what is not there is not missed."""
    tree: dict[str | int, Any] = {}
    for place in places:
        node = tree
        for part in place:
            node = node.setdefault(part, {})
        node[_END] = {}
    return _cut(body, tree) if tree else body


_END: Final = -1


def _speaks_of(rule: IgnoreRule, key: Key) -> bool:
    return (
        fnmatchcase(key.kind, rule.kind or "*")
        and fnmatchcase(key.group, rule.group)
        and rule.name in ("", key.name)
        and rule.namespace in ("", key.namespace)
    )


def _places(rules: Iterable[IgnoreRule], body: Object, live: Object, type_: Type | None) -> Iterator[Pointer]:
    for rule in rules:
        for pointer in rule.json_pointers:
            place = _indexed(body, parse_pointer(pointer) or ())
            if place:
                yield place
        for expression in rule.jq_paths:
            try:
                yield from jq.places(expression, body)
            except jq.NotUnderstood:
                continue
        for path in _managed(live, rule.managers):
            found = locate(body, path, type_)
            if found:
                yield found[0]


def _managed(live: Object, managers: tuple[str, ...]) -> Iterator[Path]:
    if not managers:
        return
    for entry in entries_of(live):
        if any(fnmatchcase(str(entry.get("manager", "")), manager) for manager in managers):
            yield from FieldSet.parse(entry.get("fieldsV1")).leaves()


def _indexed(body: Any, parts: tuple[str, ...]) -> Pointer:
    """A JSON pointer with numbers where it goes through lists; empty if it leads nowhere in this object."""
    place: list[str | int] = []
    for part in parts:
        if isinstance(body, list):
            if not part.isdecimal() or int(part) >= len(body):
                return ()
            place.append(int(part))
            body = body[int(part)]
        elif isinstance(body, dict) and part in body:
            place.append(part)
            body = body[part]
        else:
            return ()
    return tuple(place)


def _exact(body: Object, place: Pointer, type_: Type | None) -> bool:
    """Whether a place is a field of its own; one inside an atomic value does not change who owns that value."""
    return len(elements_of(body, place, type_)) == len(place)


def _cut(body: Any, tree: Mapping[str | int, Any]) -> Any:
    if isinstance(body, dict):
        return {
            name: _cut(value, tree[name]) if name in tree else value
            for name, value in body.items()
            if not (name in tree and _END in tree[name])
        }
    if isinstance(body, list):
        return [
            _cut(value, tree[index]) if index in tree else value
            for index, value in enumerate(body)
            if not (index in tree and _END in tree[index])
        ]
    return body


def _with(body: Any, place: Pointer, value: Any) -> Any:
    if not place:
        return value
    head, rest = place[0], place[1:]
    if isinstance(body, dict):
        return {**body, head: _with(body.get(str(head), NOTHING), rest, value)}
    if isinstance(body, list):
        return [_with(item, rest, value) if index == head else item for index, item in enumerate(body)]
    return body
