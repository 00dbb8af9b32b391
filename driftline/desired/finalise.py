"""From rendered objects to what the cluster should hold: keys, namespaces, marks, hooks. Called by driftline.flow.

Both marks are stamped on every object, CustomResourceDefinitions included. Argo CD leaves those unmarked so that they
are never pruned (TRK-06); here the plan holds each deletion of one for a person instead, and an unmarked object would
be invisible to the labelled LIST and watch that find drift.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from driftline.desired.clean import cleaned
from driftline.desired.hooks import Role, role, with_argo_hook
from driftline.formats.application import declared
from driftline.model.application import Application
from driftline.model.cluster import Kinds
from driftline.model.digests import digest
from driftline.model.errors import Permanent
from driftline.model.marks import Marks
from driftline.model.objects import Key, Object, group_of, key_of, version_of
from driftline.model.plan import Problem

REPEATED = "RepeatedResourceWarning"
"""Argo CD's condition for an object that is given twice; warnings of it begin with this word."""

_LABELS_AND_ANNOTATIONS = ("labels", "annotations")


@dataclass(frozen=True)
class Desired:
    """What one application wants of its cluster. Everything that is not named here is not wanted.

    `hooks` may lack a name (generateName). `skipped` are objects that Git names but that are never applied: they are
    not to be pruned either. `declarations` are Applications, ApplicationSets and AppProjects for our own control
    plane. `problems` concern single objects and do not stop the others; an object with a problem is still wanted and
    not to be pruned, and where its key could not be read (kind `Document` or `Object`) nothing is.
    """

    objects: Mapping[Key, Object] = field(default_factory=dict)
    hooks: tuple[Object, ...] = ()
    declarations: tuple[Object, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    digests: Mapping[Key, str] = field(default_factory=dict)
    skipped: frozenset[Key] = frozenset()


def finalise(
    objects: Sequence[Any], application: Application, kinds: Kinds, marks: Marks, origins: Sequence[str] = ()
) -> Desired:
    """Make rendered objects (all sources of an application, in order) the desired state.

    `origins` says where each stands (`Rendered.origins`), for messages. Raises nothing: what is wrong with an object
    is a `Problem` of it.
    """
    places = list(origins) + [""] * (len(objects) - len(origins))
    found = list(expanded(zip(objects, places, strict=False), kinds))
    work = _Work(application, kinds, marks, scopes=_scopes(body for body, _ in found))
    for number, (body, origin) in enumerate(found, 1):
        work.take(body, origin, number)
    return work.result()


def expanded(objects: Iterable[tuple[Any, str]], kinds: Kinds) -> Iterator[tuple[Any, str]]:
    """The objects with lists replaced by their items. A served kind that merely ends in `List` is no list."""
    for body, origin in objects:
        if not _is_list(body, kinds):
            yield body, origin
            continue
        items = body["items"]
        if body["kind"] != "List":
            standard = {"apiVersion": body.get("apiVersion"), "kind": body["kind"].removesuffix("List")}
            items = [{**standard, **item} if isinstance(item, dict) else item for item in items]
        yield from expanded(((item, origin) for item in items), kinds)


def _is_list(body: Any, kinds: Kinds) -> bool:
    if not isinstance(body, dict) or not isinstance(body.get("items"), list):
        return False
    kind = body.get("kind")
    if not isinstance(kind, str) or not kind.endswith("List"):
        return False
    return kind == "List" or kinds.find(group_of(str(body.get("apiVersion", ""))), kind) is None


def _scopes(objects: Iterable[Any]) -> dict[tuple[str, str], bool]:
    """(group, kind) -> namespaced, for the kinds that CRDs among the objects will bring."""
    found: dict[tuple[str, str], bool] = {}
    for body in objects:
        if not isinstance(body, dict) or body.get("kind") != "CustomResourceDefinition":
            continue
        spec = body.get("spec")
        names = spec.get("names") if isinstance(spec, dict) else None
        if isinstance(spec, dict) and isinstance(names, dict):
            found[(str(spec.get("group", "")), str(names.get("kind", "")))] = spec.get("scope") != "Cluster"
    return found


@dataclass
class _Work:
    """One run of `finalise`."""

    application: Application
    kinds: Kinds
    marks: Marks
    scopes: Mapping[tuple[str, str], bool]
    objects: dict[Key, Object] = field(default_factory=dict)
    hooks: list[Object] = field(default_factory=list)
    declarations: dict[Key, Object] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    skipped: set[Key] = field(default_factory=set)
    times: dict[Key, int] = field(default_factory=dict)

    def take(self, body: Any, origin: str, number: int) -> None:
        """Sort one object in, or record why it cannot be."""
        key = _approximate_key(body, number)
        try:
            check(body)
            key = self._located(key, body)
            what = role(body)
            key, placed = self._placed(body, what)
            if declared(body):
                self._count(key)
                self.declarations[key] = body
            elif what is Role.SKIPPED:
                self.skipped.add(key)
            else:
                self._keep(key, placed, what)
        except Permanent as error:
            where = f"{origin}: " if origin else ""
            self.problems.append(Problem(key, f"{where}{error.message}"))

    def _placed(self, body: Object, what: Role) -> tuple[Key, Object]:
        """The object in its namespace, with its key. Raises Permanent where it has none but needs one."""
        metadata = body["metadata"]
        if not metadata.get("name") and what is Role.OBJECT:
            hint = "; generateName is for hooks" if metadata.get("generateName") else ""
            raise Permanent(f"{body['kind']} without metadata.name{hint}")
        group, kind = group_of(body["apiVersion"]), body["kind"]
        if declared(body):
            return key_of(body), body
        namespaced = self._namespaced(group, kind, version_of(body["apiVersion"]))
        namespace = metadata.get("namespace") or ""
        if namespaced is False:
            namespace = ""
        elif not namespace:
            namespace = self.application.destination.namespace
            if not namespace and namespaced:
                raise Permanent(
                    f"{kind}/{metadata.get('name', '')} has no namespace: set one, or destination.namespace"
                )
        kept = {name: value for name, value in metadata.items() if name != "namespace"}
        if namespace:
            kept["namespace"] = namespace
        placed = {**body, "metadata": kept}
        return key_of(placed), placed

    def _located(self, key: Key, body: Object) -> Key:
        """The key of an object that may yet turn out to be wrong: what sync already knows it by."""
        return key if declared(body) else replace(key, namespace=self._namespace(body))

    def _namespace(self, body: Object) -> str:
        """The namespace an object goes to; a kind that nobody knows keeps what it says or gets the destination's."""
        if self._namespaced(group_of(body["apiVersion"]), body["kind"], version_of(body["apiVersion"])) is False:
            return ""
        return body["metadata"].get("namespace") or self.application.destination.namespace

    def _namespaced(self, group: str, kind: str, version: str) -> bool | None:
        """Whether objects of a kind live in namespaces, None if neither cluster nor render knows the kind."""
        resource = self.kinds.find(group, kind, version) or self.kinds.find(group, kind)
        return resource.namespaced if resource is not None else self.scopes.get((group, kind))

    def _keep(self, key: Key, placed: Object, what: Role) -> None:
        shown = key if key.name else f"{key}/{placed['metadata'].get('generateName', '')}*"
        body = cleaned(placed, key.group, key.kind, lambda text: self.warnings.append(f"{shown}: {text}"))
        if what is Role.HOOK:
            # The tracking id of a hook without a name is stamped when sync gives it one.
            hook = with_argo_hook(body)
            self.hooks.append(self.marks.stamp(hook, self.application.destination.namespace) if key.name else hook)
            return
        self._count(key)
        self.objects[key] = self.marks.stamp(body, self.application.destination.namespace)

    def _count(self, key: Key) -> None:
        self.times[key] = self.times.get(key, 0) + 1

    def result(self) -> Desired:
        repeated = [
            f"{REPEATED}: {key} is given {times} times; the last one counts"
            for key, times in self.times.items()
            if times > 1
        ]
        return Desired(
            objects=self.objects,
            hooks=tuple(self.hooks),
            declarations=tuple(self.declarations.values()),
            problems=tuple(self.problems),
            warnings=(*repeated, *self.warnings),
            digests={key: digest(body) for key, body in self.objects.items()},
            skipped=frozenset(self.skipped - self.objects.keys()),
        )


def check(body: Any) -> None:
    """Raise Permanent unless `body` has the shape of a Kubernetes object: what no API path could be made of."""
    if not isinstance(body, dict):
        raise Permanent("this document is no Kubernetes object: want a map with apiVersion and kind")
    for name in ("apiVersion", "kind"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise Permanent(f"an object without {name}")
    metadata = body.get("metadata")
    if not isinstance(metadata, dict):
        raise Permanent(f"{body['kind']} without metadata.name")
    for name in ("name", "namespace", "generateName"):
        value = metadata.get(name)
        if value is not None and not isinstance(value, str):
            raise Permanent(f"{body['kind']}: metadata.{name}: want a text: put it in quotes")
        if value and (value in (".", "..") or any(char in value for char in "/%\0")):
            raise Permanent(f"{body['kind']}: metadata.{name}: {value[:80]!r} cannot be a name")
    for name in _LABELS_AND_ANNOTATIONS:
        values = metadata.get(name)
        if values is not None and not isinstance(values, dict):
            raise Permanent(f"{body['kind']}/{metadata.get('name')}: metadata.{name}: want a map")
        for key, value in (values or {}).items():
            if value is not None and not isinstance(value, str):
                raise Permanent(
                    f"{body['kind']}/{metadata.get('name')}: metadata.{name}.{key}: want a text: put it in quotes"
                )


def _approximate_key(body: Any, number: int) -> Key:
    """As much of a key as a broken object has; always one that can be stored and read back."""
    if not isinstance(body, dict):
        return Key("", "Document", "", f"no. {number}")
    metadata = body.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}

    def part(value: Any, default: str = "") -> str:
        return value.replace("/", "_") if isinstance(value, str) and value else default

    return Key(
        part(group_of(body["apiVersion"]) if isinstance(body.get("apiVersion"), str) else ""),
        part(body.get("kind"), "Object"),
        part(metadata.get("namespace")),
        part(metadata.get("name") or metadata.get("generateName"), f"no. {number}"),
    )
