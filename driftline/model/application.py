"""An application as Argo CD declares it: where its manifests come from, where they go, and how."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from driftline.model.objects import Object

SKIP = "argocd.argoproj.io/skip-reconcile"


@dataclass(frozen=True)
class Destination:
    """The cluster (by `server` URL or by `name`, never both) and the namespace for objects that name none."""

    server: str = ""
    name: str = ""
    namespace: str = ""


@dataclass(frozen=True)
class HelmParameter:
    """One `--set`, or `--set-string` when `force_string`."""

    name: str
    value: str
    force_string: bool = False


@dataclass(frozen=True)
class FileParameter:
    """One `--set-file`: the value is the content of `path`."""

    name: str
    path: str


@dataclass(frozen=True)
class HelmOptions:
    """`source.helm` (Argo CD OBJ-04, GEN-06..08)."""

    release_name: str = ""
    value_files: tuple[str, ...] = ()
    values: str = ""
    values_object: Mapping[str, Any] | None = None
    parameters: tuple[HelmParameter, ...] = ()
    file_parameters: tuple[FileParameter, ...] = ()
    version: str = ""
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()
    namespace: str = ""
    pass_credentials: bool = False
    ignore_missing_value_files: bool = False
    skip_crds: bool = False
    skip_tests: bool = False
    skip_schema_validation: bool = False


@dataclass(frozen=True)
class KustomizeOptions:
    """`source.kustomize` (Argo CD OBJ-05, GEN-10)."""

    name_prefix: str = ""
    name_suffix: str = ""
    images: tuple[str, ...] = ()
    replicas: tuple[tuple[str, int], ...] = ()
    common_labels: Mapping[str, str] = field(default_factory=dict)
    label_without_selector: bool = False
    label_include_templates: bool = False
    common_annotations: Mapping[str, str] = field(default_factory=dict)
    common_annotations_envsubst: bool = False
    force_common_labels: bool = False
    force_common_annotations: bool = False
    namespace: str = ""
    patches: tuple[Mapping[str, Any], ...] = ()
    components: tuple[str, ...] = ()
    ignore_missing_components: bool = False
    version: str = ""
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()


@dataclass(frozen=True)
class JsonnetVariable:
    """One external variable or top-level argument; `code` makes its value an expression."""

    name: str
    value: str
    code: bool = False


@dataclass(frozen=True)
class DirectoryOptions:
    """`source.directory` (Argo CD OBJ-06, GEN-04, GEN-05)."""

    recurse: bool = False
    include: str = ""
    exclude: str = ""
    disable_extension_filter: bool = False
    ext_vars: tuple[JsonnetVariable, ...] = ()
    tlas: tuple[JsonnetVariable, ...] = ()
    libs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """One place manifests come from. At most one of the tool blocks is set; none means 'detect'."""

    repo_url: str
    path: str = ""
    target_revision: str = ""
    chart: str = ""
    ref: str = ""
    name: str = ""
    tag_prefix: str = ""
    helm: HelmOptions | None = None
    kustomize: KustomizeOptions | None = None
    directory: DirectoryOptions | None = None
    plugin: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Automated:
    """`syncPolicy.automated`, present and not disabled."""

    prune: bool = False
    self_heal: bool = False
    allow_empty: bool = False


@dataclass(frozen=True)
class Retry:
    """`syncPolicy.retry`. `limit` below 0 means without end."""

    limit: int = 0
    duration: timedelta = timedelta(seconds=5)
    factor: int = 2
    max_duration: timedelta = timedelta(minutes=3)
    refresh: bool = False


@dataclass(frozen=True)
class IgnoreRule:
    """One `ignoreDifferences` entry. `group` and `kind` are globs; empty `name` or `namespace` match all."""

    kind: str
    group: str = ""
    name: str = ""
    namespace: str = ""
    json_pointers: tuple[str, ...] = ()
    jq_paths: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Application:
    """One application, read from its declaration by `formats.application`.

    `document` is the declaration as given (unknown fields and all); `warnings` says what in it was not understood.
    """

    name: str
    destination: Destination
    sources: tuple[Source, ...]
    project: str = "default"
    automated: Automated | None = None
    sync_options: tuple[str, ...] = ()
    retry: Retry | None = None
    managed_namespace_labels: Mapping[str, str] = field(default_factory=dict)
    managed_namespace_annotations: Mapping[str, str] = field(default_factory=dict)
    ignore: tuple[IgnoreRule, ...] = ()
    info: tuple[tuple[str, str], ...] = ()
    history_limit: int = 10
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    document: Object = field(default_factory=dict, compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def left_alone(self) -> bool:
        """Whether its annotation asks us to keep our hands off: no look, no sync (RFR-05)."""
        return self.annotations.get(SKIP, "") in ("1", "t", "T", "true", "True", "TRUE")

    def option(self, name: str, default: str = "") -> str:
        """The value of a `Key=value` sync option; the last one wins."""
        value = default
        for entry in self.sync_options:
            key, _, given = entry.partition("=")
            if key == name:
                value = given
        return value

    def enabled(self, name: str) -> bool:
        """Whether a sync option is `true`."""
        return self.option(name).lower() == "true"
