"""`spec.source` and `spec.sources` of an Argo CD Application (OBJ-03..07, GEN-15, GEN-16)."""

import re
from collections.abc import Mapping
from dataclasses import fields as fields_of
from dataclasses import is_dataclass
from typing import Any

from driftline.formats.fields import Fields
from driftline.model.application import (
    DirectoryOptions,
    FileParameter,
    HelmOptions,
    HelmParameter,
    JsonnetVariable,
    KustomizeOptions,
    Source,
)

TOOLS = {"helm": "Helm", "kustomize": "Kustomize", "directory": "Directory", "plugin": "Plugin"}
"""The tool blocks of a source and how Argo CD names them."""

_REF = re.compile(r"[a-zA-Z0-9_-]+")
_RELEASE_NAME = 53
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TRANSPORT = re.compile(r"[A-Za-z0-9+.-]*::")


def read_sources(spec: Fields) -> tuple[Source, ...]:
    """The sources of a spec; `sources` wins over `source`. Raises Permanent naming the field that is wrong."""
    several = list(spec.sections("sources"))
    single = spec.section("source")
    if not several and single is None:
        spec.fail("source", "is missing: name a repoURL and a path")
    if not several and single is not None:
        return (_source(single, alone=True),)
    sources = tuple(_source(fields, alone=False) for fields in several)
    for what in ("ref", "name"):
        given = [str(getattr(source, what)) for source in sources if getattr(source, what)]
        for position, value in enumerate(given):
            if value in given[:position]:
                spec.fail("sources", f"the {what} {value!r} is given twice")
    return sources


def read_source(document: Mapping[str, Any], subject: str) -> tuple[Source, tuple[str, ...]]:
    """One source standing by itself, and warnings of what in it is unknown. `subject` begins each message."""
    warnings: list[str] = []
    return _source(Fields(document, subject, "source", warnings), alone=False), tuple(warnings)


def source_document(source: Source) -> dict[str, Any]:
    """A source as Argo CD writes it, without what is empty; `read_source` reads it back as it was."""
    found = _written(source, {"repo_url": "repoURL"})
    for tool in TOOLS:
        options = getattr(source, tool)
        if options is not None:
            found[tool] = dict(options) if tool == "plugin" else _written(options, {})
    if source.helm and source.helm.values_object is not None:
        found["helm"]["valuesObject"] = dict(source.helm.values_object)
    if source.kustomize and source.kustomize.replicas:
        found["kustomize"]["replicas"] = [{"name": name, "count": n} for name, n in source.kustomize.replicas]
    if source.directory:
        jsonnet = {
            name: found["directory"].pop(name) for name in ("extVars", "tlas", "libs") if name in found["directory"]
        }
        found["directory"] |= {"jsonnet": jsonnet} if jsonnet else {}
    return found


def _written(value: Any, names: Mapping[str, str]) -> dict[str, Any]:
    """The plain fields of a dataclass that are not empty, under their names in YAML."""
    found: dict[str, Any] = {}
    for each in fields_of(value):
        item = getattr(value, each.name)
        if not item or is_dataclass(item):
            continue
        camel = re.sub(r"_(.)", lambda match: match[1].upper(), each.name)
        if isinstance(item, tuple):
            item = [_written(one, {}) if is_dataclass(one) else one for one in item]
        found[names.get(each.name, camel)] = dict(item) if isinstance(item, Mapping) else item
    return found


def _source(fields: Fields, alone: bool) -> Source:
    source = Source(
        repo_url=_url(fields),
        path=_path(fields),
        target_revision=_revision(fields),
        chart=fields.text("chart"),
        ref=fields.text("ref"),
        name=fields.text("name"),
        tag_prefix=fields.text("tagPrefix"),
        helm=_helm(fields.section("helm")),
        kustomize=_kustomize(fields.section("kustomize")),
        directory=_directory(fields.section("directory")),
        plugin=fields.get("plugin", dict),
    )
    _check(fields, source, alone)
    fields.finish()
    return source


def _check(fields: Fields, source: Source, alone: bool) -> None:
    """What fields of one source may not stand together."""
    blocks = [title for name, title in TOOLS.items() if getattr(source, name) is not None]
    if len(blocks) > 1:
        fields.fail("", f"multiple application sources defined: {','.join(blocks)}; keep one of these blocks")
    if source.path and source.chart:
        fields.fail("chart", "path and chart are both set: a source is a directory or a chart")
    if source.chart.startswith(("-", ".", "/")) or ".." in source.chart:
        fields.fail("chart", f"{source.chart!r} is no chart name")
    if source.chart and (source.kustomize or source.directory or source.plugin):
        fields.fail("", "a chart is rendered by Helm: the other tool blocks do not fit it")
    if source.ref and not _REF.fullmatch(source.ref):
        fields.fail("ref", f"{source.ref!r} may hold letters, digits, '-' and '_' only")
    if source.ref and source.chart:
        fields.fail("ref", "a chart cannot be referenced, only a Git repository")
    if alone and source.ref:
        fields.warn("ref", "has no effect on a single source")
    if not source.path and not source.chart and (alone or not source.ref):
        fields.fail("path", "is missing: name a directory of the repository, '.' for its root")


def _url(fields: Fields) -> str:
    """`repoURL`, refused when git could read it as an option or as a command."""
    url = fields.text("repoURL").strip()
    if not url:
        fields.fail("repoURL", "is missing")
    if url.startswith("-") or "//-" in url or _CONTROL.search(url) or " " in url:
        fields.fail("repoURL", "is no URL: it looks like an option or holds spaces or control characters")
    if _TRANSPORT.match(url) or url.startswith(("ext:", "fd:")):
        fields.fail("repoURL", "names a remote helper: use https, ssh or oci")
    return url


def _revision(fields: Fields) -> str:
    revision = fields.text("targetRevision").strip()
    if revision.startswith("-") or ".." in revision or _CONTROL.search(revision):
        fields.fail("targetRevision", "is no branch, tag, commit or version range")
    return revision


def _path(fields: Fields) -> str:
    """`path`, relative and inside the repository."""
    path = fields.text("path")
    if path.startswith("/"):
        fields.fail("path", f"{path}: app path is absolute; write it relative to the repository's root")
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            fields.fail("path", f"{path}: app path leaves the repository")
    if _CONTROL.search(path) or "\\" in path:
        fields.fail("path", "must not hold control characters or backslashes")
    return path


def _helm(fields: Fields | None) -> HelmOptions | None:
    if fields is None:
        return None
    options = HelmOptions(
        release_name=fields.text("releaseName"),
        value_files=fields.texts("valueFiles"),
        values=fields.text("values"),
        values_object=fields.get("valuesObject", dict),
        parameters=tuple(_parameter(each) for each in fields.sections("parameters")),
        file_parameters=tuple(_file_parameter(each) for each in fields.sections("fileParameters")),
        version=fields.text("version"),
        kube_version=fields.text("kubeVersion"),
        api_versions=fields.texts("apiVersions"),
        namespace=fields.text("namespace"),
        pass_credentials=fields.flag("passCredentials"),
        ignore_missing_value_files=fields.flag("ignoreMissingValueFiles"),
        skip_crds=fields.flag("skipCrds"),
        skip_tests=fields.flag("skipTests"),
        skip_schema_validation=fields.flag("skipSchemaValidation"),
    )
    if len(options.release_name) > _RELEASE_NAME:
        fields.fail("releaseName", f"is longer than Helm's limit of {_RELEASE_NAME} characters")
    fields.finish()
    return options


def _parameter(fields: Fields) -> HelmParameter:
    found = HelmParameter(fields.text("name"), fields.text("value"), fields.flag("forceString"))
    if not found.name:
        fields.fail("name", "is missing")
    fields.finish()
    return found


def _file_parameter(fields: Fields) -> FileParameter:
    found = FileParameter(fields.text("name"), fields.text("path"))
    if not found.name or not found.path:
        fields.fail("path" if found.name else "name", "is missing")
    fields.finish()
    return found


def _kustomize(fields: Fields | None) -> KustomizeOptions | None:
    if fields is None:
        return None
    options = KustomizeOptions(
        name_prefix=fields.text("namePrefix"),
        name_suffix=fields.text("nameSuffix"),
        images=fields.texts("images"),
        replicas=tuple(_replica(each) for each in fields.sections("replicas")),
        common_labels=fields.table("commonLabels"),
        label_without_selector=fields.flag("labelWithoutSelector"),
        label_include_templates=fields.flag("labelIncludeTemplates"),
        common_annotations=fields.table("commonAnnotations"),
        common_annotations_envsubst=fields.flag("commonAnnotationsEnvsubst"),
        force_common_labels=fields.flag("forceCommonLabels"),
        force_common_annotations=fields.flag("forceCommonAnnotations"),
        namespace=fields.text("namespace"),
        patches=tuple(_patch(each) for each in fields.sections("patches")),
        components=fields.texts("components"),
        ignore_missing_components=fields.flag("ignoreMissingComponents"),
        version=fields.text("version"),
        kube_version=fields.text("kubeVersion"),
        api_versions=fields.texts("apiVersions"),
    )
    fields.finish()
    return options


def _replica(fields: Fields) -> tuple[str, int]:
    """Argo CD takes the count as a number or as digits in quotes."""
    name, count = fields.text("name"), fields.value.get("count")
    fields.asked.add("count")
    if isinstance(count, str) and count.isascii() and count.isdecimal():
        count = int(count)
    if not name:
        fields.fail("name", "is missing")
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 2**31:
        fields.fail("count", "want a whole number, 0 or more")
    fields.finish()
    return name, count


def _patch(fields: Fields) -> Mapping[str, Any]:
    patch, path = fields.text("patch"), fields.text("path")
    if bool(patch) == bool(path):
        fields.fail("", "want either patch (inline) or path (a file)")
    for name in ("target", "options"):
        fields.get(name, dict)
    fields.finish()
    return dict(fields.value)


def _directory(fields: Fields | None) -> DirectoryOptions | None:
    if fields is None:
        return None
    jsonnet = fields.section("jsonnet") or Fields({}, fields.subject, fields.where("jsonnet"), fields.warnings)
    options = DirectoryOptions(
        recurse=fields.flag("recurse"),
        include=fields.text("include"),
        exclude=fields.text("exclude"),
        disable_extension_filter=fields.flag("disableExtensionFilter"),
        ext_vars=tuple(_variable(each) for each in jsonnet.sections("extVars")),
        tlas=tuple(_variable(each) for each in jsonnet.sections("tlas")),
        libs=jsonnet.texts("libs"),
    )
    jsonnet.finish()
    fields.finish()
    return options


def _variable(fields: Fields) -> JsonnetVariable:
    found = JsonnetVariable(fields.text("name"), fields.text("value"), fields.flag("code"))
    if not found.name:
        fields.fail("name", "is missing")
    fields.finish()
    return found
