"""What `helm template` reads of a repository, and its command line (OBJ-04, GEN-06..08). Called by the Helm renderer.

The tool will run in a directory where the source's repository stands as `repo/` and each referenced one as
`refs/<ref>/`; all paths on its command line are relative to that.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from driftline.desired.dependencies import Gathering, Supplier
from driftline.desired.environment import Environment
from driftline.desired.globs import is_glob, matches
from driftline.desired.lookup import Found
from driftline.desired.material import Material
from driftline.desired.paths import inside
from driftline.desired.tree import EntryKind
from driftline.model.application import Application, HelmOptions
from driftline.model.errors import Permanent

REPOSITORY, REFERENCES = "repo", "refs"
VALUES_FILE = "source.helm.values.yaml"
"""Where the values of the source itself are written; the name is what people read in Helm's errors."""

_RELEASE_NAME = 53
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
    supplier: Supplier | None = None
    """Gives charts of other repositories; without it Helm says which are missing."""
    gathering: Gathering = field(init=False)

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
        self.gathering = Gathering(self.own, self.supplier)
        self.gathering.add(self.directory.path, self.directory.path)

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


def random_templates(contents: Mapping[str, bytes]) -> tuple[str, ...]:
    """Warnings of templates that give something else each time: what they make drifts with each new render."""
    found = []
    for path, content in contents.items():
        if "/templates/" in f"/{path}" and "/tests/" not in path and (match := _RANDOM.search(content)):
            found.append(f"{path}: uses {match[1].decode()}: what it makes is another with each new render")
    return tuple(sorted(found))
