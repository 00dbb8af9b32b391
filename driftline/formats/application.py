"""Argo CD's Application YAML, unchanged, to `model.Application`. Called by the API, the CLI and flow (app-of-apps)."""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from driftline.formats.fields import Fields
from driftline.formats.sources import TOOLS, read_sources
from driftline.model.application import SKIP, Application, Automated, Destination, IgnoreRule, Retry
from driftline.model.errors import Permanent
from driftline.model.objects import Object, group_of, key_of
from driftline.model.plan import Problem

GROUP = "argoproj.io"
API_VERSION = "argoproj.io/v1alpha1"
DECLARED_KINDS = ("Application", "ApplicationSet", "AppProject")
"""Kinds that go to our own control plane when a render contains them."""

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_METADATA_KEPT = ("name", "namespace", "labels", "annotations", "finalizers")
_SWITCHES = (
    "ApplyOutOfSyncOnly",
    "ClientSideApplyMigration",
    "CreateNamespace",
    "FailOnSharedResource",
    "Force",
    "PruneLast",
    "Replace",
    "RespectIgnoreDifferences",
    "ServerSideApply",
    "SkipDryRunOnMissingResource",
    "Validate",
)
_OPTIONS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(_SWITCHES, frozenset({"true", "false"})),
    "Prune": frozenset({"true", "false", "confirm"}),
    "Delete": frozenset({"true", "false", "confirm"}),
    "PrunePropagationPolicy": frozenset({"foreground", "background", "orphan"}),
}


def application(document: Object) -> Application:
    """Read one Application. `operation` and `status` are ignored; unknown fields are kept and warned of.

    Raises Permanent (`Application shop: spec.source.path: what is wrong and what to do`).
    """
    if document.get("apiVersion") != API_VERSION or document.get("kind") != "Application":
        raise Permanent(f"{_title(document)}: want apiVersion {API_VERSION} and kind Application")
    warnings: list[str] = []
    top = Fields(normalised(document), _title(document), "", warnings)
    for name in ("apiVersion", "kind"):
        top.text(name)
    metadata, spec = top.section("metadata"), top.section("spec")
    if metadata is None or spec is None:
        top.fail("metadata" if metadata is None else "spec", "is missing")
    top.finish()
    found = Application(
        name=_name(metadata),
        destination=_destination(spec),
        sources=read_sources(spec),
        project=_project(spec),
        info=tuple((each.text("name"), each.text("value")) for each in spec.sections("info")),
        ignore=tuple(_ignore(each) for each in spec.sections("ignoreDifferences")),
        history_limit=_history_limit(spec),
        labels=metadata.table("labels"),
        annotations=metadata.table("annotations"),
        finalizers=metadata.texts("finalizers"),
        document=document,
        warnings=(),
        **_policy(spec.section("syncPolicy"), warnings),
    )
    if found.left_alone:
        warnings.append(f"metadata.annotations[{SKIP}]: nothing is compared or synced until it is taken away")
    metadata.text("namespace")
    metadata.finish()
    spec.finish()
    return Application(**{**vars(found), "warnings": tuple(warnings)})


def normalised(document: Object) -> Object:
    """The declaration as it is compared with another: equal results mean nothing was changed (OBJ-20, OBJ-21).

    What a server adds is dropped, empty tool blocks are removed, `project` defaults to `default`, and `source` goes
    where `sources` wins. Normalising twice changes nothing. Malformed parts are left for `application` to name.
    """
    found: Object = {key: value for key, value in document.items() if key not in ("status", "operation")}
    metadata, spec = found.get("metadata"), found.get("spec")
    if isinstance(metadata, dict):
        found["metadata"] = _metadata(metadata)
    if isinstance(spec, dict):
        found["spec"] = _spec(spec)
    return found


def _metadata(metadata: Object) -> Object:
    kept = {key: metadata[key] for key in _METADATA_KEPT if metadata.get(key) not in (None, {}, [], "")}
    annotations = kept.get("annotations")
    if isinstance(annotations, dict) and _LAST_APPLIED in annotations:
        annotations = {key: value for key, value in annotations.items() if key != _LAST_APPLIED}
        kept = {**kept, "annotations": annotations} if annotations else _without(kept, "annotations")
    return kept


def _spec(spec: Object) -> Object:
    found = {key: value for key, value in spec.items() if value is not None}
    found["project"] = found.get("project") or "default"
    if isinstance(found.get("source"), dict):
        found["source"] = _without_empty_blocks(found["source"])
    if isinstance(found.get("sources"), list) and found["sources"]:
        found.pop("source", None)
        found["sources"] = [_without_empty_blocks(each) if isinstance(each, dict) else each for each in spec["sources"]]
    for name in ("sources", "syncPolicy", "info", "ignoreDifferences"):
        if name in found and found[name] in ([], {}):
            del found[name]
    return found


def _without_empty_blocks(source: Object) -> Object:
    """Argo CD calls a block empty when all its fields have their zero value."""
    return {key: value for key, value in source.items() if not (key in TOOLS and _zero(value))}


def _zero(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_zero(item) for item in value.values())
    return value in (None, "", False, 0, [])


def _without(value: Object, name: str) -> Object:
    return {key: item for key, item in value.items() if key != name}


def applications_in(objects: Iterable[Object]) -> tuple[tuple[Application, ...], tuple[Problem, ...]]:
    """The Applications among declarations, and what is wrong with those that cannot be read."""
    found: list[Application] = []
    problems: list[Problem] = []
    for document in objects:
        if document.get("kind") != "Application" or group_of(str(document.get("apiVersion", ""))) != GROUP:
            continue
        try:
            found.append(application(document))
        except Permanent as error:
            problems.append(Problem(key_of(document), error.message))
    return tuple(found), tuple(problems)


def declared(document: Mapping[str, Any]) -> bool:
    """Whether an object is one of our own control plane's kinds, not one of the cluster's."""
    return document.get("kind") in DECLARED_KINDS and group_of(str(document.get("apiVersion", ""))) == GROUP


def _title(document: Object) -> str:
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"Application {name[:80]}" if isinstance(name, str) and name else "Application without a name"


def _name(metadata: Fields) -> str:
    name = metadata.text("name")
    if not name or len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        metadata.fail(
            "name", "want lower-case letters, digits, '-' and '.', starting and ending with a letter or digit"
        )
    return name


def _project(spec: Fields) -> str:
    project = spec.text("project", "default")
    if len(project) > 253 or not _SUBDOMAIN.fullmatch(project):
        spec.fail("project", f"{project[:80]!r} is no project name")
    return project


def _destination(spec: Fields) -> Destination:
    fields = spec.section("destination")
    if fields is None:
        spec.fail("destination", "is missing: name a cluster by server or name")
    found = Destination(fields.text("server"), fields.text("name"), fields.text("namespace"))
    if found.server and found.name:
        fields.fail("", "server and name are both set: name the cluster by one of them")
    if not found.server and not found.name:
        fields.fail("", "names no cluster: set server or name (in-cluster for the one we run in)")
    if found.namespace and not _LABEL.fullmatch(found.namespace):
        fields.fail("namespace", f"{found.namespace[:80]!r} is no namespace name")
    fields.finish()
    return found


def _history_limit(spec: Fields) -> int:
    limit = spec.number("revisionHistoryLimit", 10)
    if limit < 0:
        spec.fail("revisionHistoryLimit", "want 0 or more")
    return limit


def _policy(fields: Fields | None, warnings: list[str]) -> dict[str, Any]:
    """The parts of `spec.syncPolicy`, by the names that `Application` has for them."""
    if fields is None:
        return {}
    options = fields.texts("syncOptions")
    for position, option in enumerate(options):
        _check_option(fields, f"syncOptions[{position}]", option)
    namespace = fields.section("managedNamespaceMetadata")
    found: dict[str, Any] = {
        "automated": _automated(fields.section("automated")),
        "sync_options": options,
        "retry": _retry(fields.section("retry")),
    }
    if namespace is not None:
        found["managed_namespace_labels"] = namespace.table("labels")
        found["managed_namespace_annotations"] = namespace.table("annotations")
        namespace.finish()
        if "CreateNamespace=true" not in options:
            namespace.warn("", "has no effect without the sync option CreateNamespace=true")
    fields.finish()
    return found


def _check_option(fields: Fields, where: str, option: str) -> None:
    """Warn of an option that will do nothing: Argo CD accepts it in silence, so it is no error here either."""
    name, equals, value = option.partition("=")
    if not equals or name not in _OPTIONS:
        fields.warn(where, f"{option[:80]!r} is no sync option that is known: it has no effect")
    elif value not in _OPTIONS[name]:
        fields.warn(where, f"{option[:80]!r} has no effect: {name} wants one of {', '.join(sorted(_OPTIONS[name]))}")


def _automated(fields: Fields | None) -> Automated | None:
    if fields is None:
        return None
    found = Automated(fields.flag("prune"), fields.flag("selfHeal"), fields.flag("allowEmpty"))
    enabled = fields.flag("enabled", True)
    fields.finish()
    return found if enabled else None


def _retry(fields: Fields | None) -> Retry | None:
    if fields is None:
        return None
    standard = Retry()
    backoff = fields.section("backoff") or Fields({}, fields.subject, fields.where("backoff"), fields.warnings)
    found = Retry(
        limit=fields.number("limit"),
        duration=backoff.wait("duration", standard.duration),
        factor=backoff.number("factor", standard.factor),
        max_duration=backoff.wait("maxDuration", standard.max_duration),
        refresh=fields.flag("refresh"),
    )
    if found.factor < 1:
        backoff.fail("factor", "want 1 or more")
    for name, value in (("duration", found.duration), ("maxDuration", found.max_duration)):
        if value < timedelta(0):
            backoff.fail(name, "must not be negative")
    backoff.finish()
    fields.finish()
    return found


def _ignore(fields: Fields) -> IgnoreRule:
    found = IgnoreRule(
        kind=fields.text("kind"),
        group=fields.text("group"),
        name=fields.text("name"),
        namespace=fields.text("namespace"),
        json_pointers=fields.texts("jsonPointers"),
        jq_paths=fields.texts("jqPathExpressions"),
        managers=fields.texts("managedFieldsManagers"),
    )
    if not found.kind:
        fields.fail("kind", "is missing: '*' for all kinds")
    for position, pointer in enumerate(found.json_pointers):
        if not pointer.startswith("/"):
            fields.fail(f"jsonPointers[{position}]", f"{pointer[:80]!r} is no JSON pointer: it starts with '/'")
    if not (found.json_pointers or found.jq_paths or found.managers):
        fields.warn("", "ignores nothing: give jsonPointers, jqPathExpressions or managedFieldsManagers")
    fields.finish()
    return found
