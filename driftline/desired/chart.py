"""What `helm template` reads of a repository, and its command line (OBJ-04, GEN-06..08). Called by the Helm renderer.

The tool will run in a directory where the source's repository stands as `repo/` and each referenced one as
`refs/<ref>/`; all paths on its command line are relative to that.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from driftline.desired.environment import Environment
from driftline.desired.globs import is_glob, matches
from driftline.desired.lookup import Found
from driftline.desired.material import Material
from driftline.desired.paths import below, inside, join
from driftline.desired.semver import parse_range, parse_version
from driftline.desired.tools import CHART
from driftline.desired.tree import EntryKind
from driftline.formats.yaml import Limits, load_documents
from driftline.model.application import Application, HelmOptions
from driftline.model.errors import Permanent

REPOSITORY, REFERENCES = "repo", "refs"
VALUES_FILE = "source.helm.values.yaml"
"""Where the values of the source itself are written; the name is what people read in Helm's errors."""

_LIMITS = Limits(size=1024 * 1024)
_RELEASE_NAME = 53
_MOST_NESTED = 10
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
_RANDOM = re.compile(
    rb"\{\{[^}]*\b(rand(?:Alpha|AlphaNum|Numeric|Ascii|Bytes|Int)|gen(?:PrivateKey|CA|SelfSignedCert|SignedCert)\w*"
    rb"|uuidv4|shuffle|htpasswd|bcrypt|now)\b"
)
_LITERAL = re.compile(r"^[^*?\[{\\]*/|^")


@dataclass
class ChartRender:
    """A chart, its values and its command line, ready to run."""

    application: Application
    options: HelmOptions
    environment: Environment
    own: Material
    references: Mapping[str, Material]
    directory: Found
    globbed: dict[tuple[str, str], str] = field(default_factory=dict)
    """(ref, directory) -> object id of directories in which globs looked for value files."""

    def arguments(self, kube_version: str, api_versions: tuple[str, ...]) -> list[str]:
        """What follows `helm template`; fills the materials. Raises Permanent naming the field that is wrong."""
        self._read_chart()
        options = self.options
        release = options.release_name or self.application.name
        if len(release) > _RELEASE_NAME:
            raise Permanent(
                f"release name {release}: longer than Helm's limit of {_RELEASE_NAME}; set helm.releaseName"
            )
        found = [self._on_disk("", self.directory.path), "--name-template", release]
        if namespace := options.namespace or self.application.destination.namespace:
            found += ["--namespace", namespace]
        if version := options.kube_version or kube_version:
            found += ["--kube-version", version]
        found += self._values()
        found += self._parameters()
        for api in options.api_versions or api_versions:
            found += ["--api-versions", api]
        found += [] if options.skip_crds else ["--include-crds"]
        found += ["--skip-tests"] if options.skip_tests else []
        found += ["--skip-schema-validation"] if options.skip_schema_validation else []
        return found

    @property
    def values(self) -> bytes | None:
        """The content of `VALUES_FILE`, None if the source sets no values; an object wins over text."""
        if self.options.values_object is not None:
            return orjson.dumps(self.options.values_object)
        return self.options.values.encode() if self.options.values else None

    def _on_disk(self, ref: str, path: str) -> str:
        root = f"{REFERENCES}/{ref}" if ref else REPOSITORY
        return f"{root}/{path}" if path else root

    def _read_chart(self) -> None:
        self.own.add_directory(self.directory)
        add_dependencies(self.own, self.directory.path, self.directory.path, depth=0)

    def _values(self) -> list[str]:
        found: list[str] = []
        for position, text in enumerate(self.options.value_files):
            for ref, path in self._value_files(f"source.helm.valueFiles[{position}]", text):
                found += ["--values", self._on_disk(ref, path)]
        if self.values is not None:
            found += ["--values", VALUES_FILE]
        return found

    def _value_files(self, where: str, text: str) -> list[tuple[str, str]]:
        """The files that one entry of valueFiles stands for, added to the material they are of."""
        ref, material, path = self._resolve(where, text)
        if not is_glob(path):
            return [(ref, path)] if self._add_file(where, text, material, path, self._may_miss) else []
        prefix = (_LITERAL.match(path) or [""])[0].rstrip("/")
        home = material.find(prefix)
        names: list[str] = []
        if home is not None and home.directory:
            self.globbed[(ref, prefix)] = home.entry.oid
            entries = material.lookup.tree.list(home.path, recursive=True)
            shown = [(prefix + entry.path[len(home.path) :]).lstrip("/") for entry in entries]
            kinds = (EntryKind.FILE, EntryKind.EXECUTABLE, EntryKind.SYMLINK)
            pairs = zip(entries, shown, strict=True)
            names = sorted(name for entry, name in pairs if entry.kind in kinds and matches(path, name, "/"))
        if not names and not self._may_miss:
            raise Permanent(f"{where}: {text}: fits no file")
        return [(ref, name) for name in names if self._add_file(where, name, material, name, may_miss=True)]

    @property
    def _may_miss(self) -> bool:
        return self.options.ignore_missing_value_files

    def _add_file(self, where: str, text: str, material: Material, path: str, may_miss: bool) -> bool:
        found = material.find(path)
        if found is None and may_miss:
            return False
        if found is None:
            raise Permanent(f"{where}: {text}: no such file in commit {material.lookup.tree.commit[:12]}")
        if not found.file:
            raise Permanent(f"{where}: {text}: is no file")
        material.add_file(found)
        return True

    def _resolve(self, where: str, text: str) -> tuple[str, Material, str]:
        """Which repository's which path an entry means: `$ref/x`, `/x` from the root, else beside the chart."""
        ref, slash, rest = text.partition("/")
        if ref.startswith("$") and slash and ref[1:] in self.references:
            path = self.environment.expand(rest)
            return ref[1:], self.references[ref[1:]], self._inside(where, text, "", path)
        if ref.startswith("$") and slash and ref.strip("${}") not in self.environment.values:
            raise Permanent(f"{where}: {text}: no source of this application has ref: {ref[1:]}")
        expanded = self.environment.expand(text)
        if _SCHEME.match(expanded):
            scheme = expanded.partition(":")[0]
            raise Permanent(
                f"{where}: {scheme} URLs are not fetched while rendering; commit the file, or use a ref source"
            )
        base = "" if expanded.startswith("/") else self.directory.path
        return "", self.own, self._inside(where, text, base, expanded.lstrip("/"))

    def _inside(self, where: str, text: str, base: str, path: str) -> str:
        if "\0" in path or not path.strip("/"):
            raise Permanent(f"{where}: {text!r} is no path")
        try:
            return inside(f"{base}/{path}", text)
        except Permanent:
            raise Permanent(f"{where}: {text}: leads out of the repository") from None

    def _parameters(self) -> list[str]:
        found: list[str] = []
        for parameter in self.options.parameters:
            flag = "--set-string" if parameter.force_string else "--set"
            found += [flag, f"{parameter.name}={escaped(self.environment.expand(parameter.value))}"]
        for position, file in enumerate(self.options.file_parameters):
            where = f"source.helm.fileParameters[{position}]"
            ref, material, path = self._resolve(where, file.path)
            self._add_file(where, file.path, material, path, may_miss=False)
            found += ["--set-file", f"{file.name}={escaped(self._on_disk(ref, path))}"]
        return found


def escaped(value: str) -> str:
    """A value for --set: its commas do not start another one, unless it is a `{list}`."""
    if value.startswith("{") and value.endswith("}"):
        return value
    return re.sub(r"(?<!\\),", r"\\,", value)


def add_dependencies(material: Material, chart: str, target: str, depth: int) -> None:
    """Put the `file://` dependencies of the chart at `chart` into the charts/ folder below `target`, and theirs too.

    Helm takes unpacked charts there, so that no `helm dependency build` has to run. A chart that is in charts/
    already stays. Raises Permanent naming the dependency.
    """
    file, metadata = read_chart(material, chart)
    if depth > _MOST_NESTED:
        raise Permanent(f"{file}: dependencies are nested more than {_MOST_NESTED} deep")
    vendored = _vendored(material, chart)
    for dependency in dependencies(material, chart, metadata):
        name, repository = dependency.get("name"), dependency.get("repository")
        if not isinstance(name, str) or not isinstance(repository, str) or not repository.startswith("file://"):
            continue
        if not plain_name(name):
            raise Permanent(f"{file}: dependency {name[:80]!r}: cannot be a chart's name")
        if name in vendored or any(re.match(re.escape(name) + r"-v?\d.*\.tgz$", each) for each in vendored):
            continue
        source = _dependency_directory(material, file, chart, target, name, repository)
        _check_version(file, dependency, read_chart(material, source)[1])
        _copy(material, source, f"{target}/charts/{name}".lstrip("/"))
        add_dependencies(material, source, f"{target}/charts/{name}".lstrip("/"), depth + 1)


def _dependency_directory(material: Material, file: str, chart: str, target: str, name: str, repository: str) -> str:
    """The directory that a `file://` repository names, added to the material."""
    try:
        found = material.find(join(chart, repository.removeprefix("file://")))
    except Permanent:
        raise Permanent(f"{file}: dependency {name}: {repository} leads out of the repository") from None
    if found is None or not found.directory:
        raise Permanent(f"{file}: dependency {name}: {repository}: no such directory")
    if below(chart, found.path) or below(target, found.path):
        raise Permanent(f"{file}: dependency {name}: {repository}: holds the chart that depends on it")
    material.add_directory(found)
    return found.path


def _copy(material: Material, source: str, target: str) -> None:
    """Let the files of directory `source`, and files that links in it stand for, stand below `target` as well."""
    for path in list(material.files):
        if below(path, source):
            material.copies[f"{target}/{path[len(source) :].lstrip('/')}"] = path
    for path, real in list(material.links.items()):
        if below(path, source):
            place = f"{target}/{path[len(source) :].lstrip('/')}"
            for file in [each for each in material.files if below(each, real)]:
                material.copies[place + file[len(real) :]] = file
    if len(material.copies) > material.bounds.files:
        raise Permanent(f"{target}: its dependencies hold more than {material.bounds.files} files")


def _check_version(file: str, wanted: Mapping[str, Any], chart: Mapping[str, Any]) -> None:
    """Refuse a dependency of the wrong version: Helm would leave it out without a word."""
    text, version = str(wanted.get("version") or "*"), parse_version(str(chart.get("version", "")))
    allowed = parse_range(text)
    exact = parse_version(text)
    if (
        version is None
        or allowed is None
        or allowed.admits(version)
        or (exact and exact.precedence == version.precedence)
    ):
        return
    raise Permanent(
        f"{file}: dependency {wanted['name']}: wants version {text}, its Chart.yaml says {version.original}"
    )


def read_chart(material: Material, directory: str) -> tuple[str, dict[str, Any]]:
    """Path and content of a Chart.yaml. Raises Permanent if there is none or its name could be a path."""
    path = join(directory, CHART)
    found = material.find(path)
    if found is None or not found.file:
        raise Permanent(f"{directory or '.'}: has no {CHART}")
    documents = load_documents(material.lookup.tree.read([found.path])[found.path], path, _LIMITS)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise Permanent(f"{path}: want one map")
    name = documents[0].get("name")
    if not isinstance(name, str) or not plain_name(name):
        raise Permanent(f"{path}: name: {str(name)[:80]!r} cannot be a chart's name")
    return path, documents[0]


def random_templates(contents: Mapping[str, bytes]) -> tuple[str, ...]:
    """Warnings of templates that give something else each time: what they make drifts with each new render."""
    found = []
    for path, content in contents.items():
        if "/templates/" in f"/{path}" and "/tests/" not in path and (match := _RANDOM.search(content)):
            found.append(f"{path}: uses {match[1].decode()}: what it makes is another with each new render")
    return tuple(sorted(found))


def plain_name(name: str) -> bool:
    """Whether a chart's name is a name and not a path."""
    return bool(name) and name not in (".", "..") and not re.search(r"[/\\\x00-\x1f]", name)


def dependencies(material: Material, chart: str, metadata: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The dependencies that a chart declares, in Chart.yaml or in requirements.yaml (charts of apiVersion v1)."""
    declared = metadata.get("dependencies")
    old = material.lookup.find(join(chart, "requirements.yaml"))
    if declared is None and old is not None and old.file:
        path = join(chart, "requirements.yaml")
        for document in load_documents(material.lookup.tree.read([old.path])[old.path], path, _LIMITS):
            declared = document.get("dependencies") if isinstance(document, dict) else None
    return [each for each in declared if isinstance(each, dict)] if isinstance(declared, list) else []


def _vendored(material: Material, chart: str) -> set[str]:
    """Names in a chart's charts/ folder."""
    found = material.lookup.find(join(chart, "charts"))
    if found is None or not found.directory:
        return set()
    return {entry.path.rpartition("/")[2] for entry in material.lookup.tree.list(found.path)}
