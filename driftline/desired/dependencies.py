"""The charts that a chart depends on, put where Helm looks for them. Called by desired.chart.

`file://` dependencies come from the same tree; charts of repositories and registries from a `Supplier`, which adapters
provide. What is decided here: which are needed, and at which version.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from driftline.desired.chartfile import dependencies, locked_versions, plain_name, read_chart
from driftline.desired.lookup import Lookup
from driftline.desired.material import Material
from driftline.desired.paths import below, join
from driftline.desired.semver import parse_range, parse_version
from driftline.desired.tree import Tree
from driftline.model.errors import Permanent

_MOST_NESTED = 10
_EXACT = re.compile(r"v?\d+\.\d+\.\d+(?:[-+].*)?")
_KNOWN = re.compile(r"(?:https?|oci)://|@|alias:", re.IGNORECASE)


@dataclass(frozen=True)
class Need:
    """A chart that another one needs from a repository. `file` is the Chart.yaml that says so, for messages.

    `repository` is as written: a web address, `oci://...`, or `@name` and `alias:name` of a registered one. `version`
    is exact if `exact`, else a range.
    """

    file: str
    name: str
    repository: str
    version: str
    exact: bool

    def __str__(self) -> str:
        return f"{self.file}: dependency {self.name}"


@dataclass(frozen=True)
class Supply:
    """A chart that was found. `digest` names its content."""

    version: str
    digest: str
    tree: Tree


class Supplier(Protocol):
    """Where charts of repositories come from."""

    def supply(self, need: Need) -> Supply:
        """The chart of a need. Raises Temporary or Permanent, beginning with the need."""


@dataclass
class Gathering:
    """The dependencies of one chart and theirs, as they are found. Without a supplier remote ones are left out."""

    material: Material
    supplier: Supplier | None = None
    depth: int = 0
    supplied: dict[str, str] = field(default_factory=dict)
    """Where each supplied chart stands -> its digest."""
    warnings: list[str] = field(default_factory=list)

    def add(self, chart: str, target: str) -> None:
        """Put what the chart at `chart` needs into the charts/ folder below `target`.

        Helm takes unpacked charts there, so that no `helm dependency build` has to run. A chart that is in charts/
        already stays. Raises Permanent naming the dependency, and what the supplier raises.
        """
        file, metadata = read_chart(self.material, chart)
        if self.depth > _MOST_NESTED:
            raise Permanent(f"{file}: dependencies are nested more than {_MOST_NESTED} deep")
        vendored = _vendored(self.material, chart)
        declared = dependencies(self.material, chart, metadata)
        remote = []
        for position, dependency in enumerate(declared):
            name, repository = dependency.get("name"), dependency.get("repository")
            if not isinstance(name, str) or not isinstance(repository, str) or not repository:
                continue
            if not plain_name(name):
                raise Permanent(f"{file}: dependency {name[:80]!r}: cannot be a chart's name")
            if name in vendored or any(re.match(re.escape(name) + r"-v?\d.*\.tgz$", each) for each in vendored):
                continue
            if repository.startswith("file://"):
                self._add_local(file, chart, target, dependency)
            elif self.supplier is not None:
                remote.append(position)
        if remote:
            self._add_remote(file, chart, target, remote)

    def _add_local(self, file: str, chart: str, target: str, dependency: Mapping[str, Any]) -> None:
        name = dependency["name"]
        source = _dependency_directory(self.material, file, chart, target, name, dependency["repository"])
        _check_version(file, dependency, read_chart(self.material, source)[1])
        place = f"{target}/charts/{name}".lstrip("/")
        _copy(self.material, source, place)
        self.depth += 1
        self.add(source, place)
        self.depth -= 1

    def _add_remote(self, file: str, chart: str, target: str, positions: list[int]) -> None:
        _, metadata = read_chart(self.material, chart)
        declared = dependencies(self.material, chart, metadata)
        lock, versions = locked_versions(self.material, chart, metadata, declared)
        if lock and versions is None:
            self.warnings.append(
                f"{lock}: was made for other dependencies than {file} names, and is not used; "
                "run `helm dependency update` and commit it"
            )
        for position in positions:
            need = _need(file, declared[position], versions[position] if versions is not None else "")
            if not need.exact:
                self.warnings.append(f"{need}: version {need.version} is not pinned; commit the lock file beside it")
            self._graft(need, target)

    def _graft(self, need: Need, target: str) -> None:
        assert self.supplier is not None
        supply = self.supplier.supply(need)
        place = f"{target}/charts/{need.name}-{supply.digest.removeprefix('sha256:')[:12]}".lstrip("/")
        if place in self.supplied:
            return
        material = Material(Lookup(supply.tree), self.material.bounds)
        root = material.find("")
        assert root is not None
        material.add_directory(root)
        found = str(read_chart(material, "")[1]["name"])
        if found != need.name:
            raise Permanent(f"{need}: {need.repository} gives a chart that is called {found[:80]!r}")
        inner = Gathering(material, self.supplier, self.depth + 1)
        inner.add("", "")
        self.material.grafts[place] = material
        self.supplied[place] = supply.digest
        self.supplied |= {f"{place}/{below}": digest for below, digest in inner.supplied.items()}
        self.warnings += inner.warnings


def _need(file: str, dependency: Mapping[str, Any], locked: str) -> Need:
    """What one entry asks for. Raises Permanent for a repository or version that nothing can be found for."""
    name, repository = dependency["name"], dependency["repository"].strip()
    if not _KNOWN.match(repository):
        raise Permanent(
            f"{file}: dependency {name}: {repository[:120]!r} is no repository that charts are fetched from; "
            "use https://, oci://, or @NAME of a registered repository"
        )
    version = locked or str(dependency.get("version") or "*")
    if not locked and parse_range(version) is None and parse_version(version) is None:
        raise Permanent(f"{file}: dependency {name}: {version[:80]!r} is neither a version nor a range of versions")
    return Need(file, name, repository, version, bool(locked) or _EXACT.fullmatch(version) is not None)


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


def _vendored(material: Material, chart: str) -> set[str]:
    """Names in a chart's charts/ folder."""
    found = material.lookup.find(join(chart, "charts"))
    if found is None or not found.directory:
        return set()
    return {entry.path.rpartition("/")[2] for entry in material.lookup.tree.list(found.path)}
