"""What a kustomization reads, and Argo CD's options written into one (OBJ-05, GEN-10). Called by the renderer.

Kustomize names every file it reads: following those names from the application's directory gives all of it. Remote
bases and chart inflation are refused here, where the message can say why and what to do.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from driftline.desired.environment import Environment
from driftline.desired.images import merged_images
from driftline.desired.lookup import Found
from driftline.desired.material import Material
from driftline.desired.paths import join
from driftline.desired.tools import KUSTOMIZATIONS
from driftline.formats.yaml import Limits, load_documents
from driftline.model.application import KustomizeOptions
from driftline.model.errors import Permanent

_LIMITS = Limits(size=4 * 1024 * 1024)
_MOST_DIRECTORIES = 500
_REMOTE = re.compile(
    r"^[a-z+]+://|^git@|^git::|^(?:www\.)?(?:github|gitlab|bitbucket)\.|[?&](?:ref|version)=|\.git(?:/|$)"
)
_USER = re.compile(r"//[^/@\s]*@")
_CHART_FIELDS = ("helmCharts", "helmChartInflationGenerator", "helmGlobals")
_DIRECTORY_FIELDS = ("resources", "bases", "components")
_FILE_FIELDS = ("crds", "configurations")
_PLUGIN_FIELDS = ("generators", "transformers", "validators")
_GENERATORS = ("configMapGenerator", "secretGenerator")


@dataclass(frozen=True)
class Reference:
    """A file or directory that a kustomization names. `where` is its field, for messages."""

    where: str
    path: str
    directory: bool = False
    plugin: bool = False


def collect(material: Material, directory: Found, extra: tuple[Reference, ...] = ()) -> tuple[str, dict[str, Any]]:
    """Gather into `material` all that the kustomization in `directory` reads; `extra` is read beside it.

    Returns the path of the top kustomization file and its content. Raises Permanent naming file and field.
    """
    top: tuple[str, dict[str, Any]] | None = None
    waiting = [directory]
    seen = {directory.path}
    while waiting:
        place = waiting.pop(0)
        material.lookup.list(place.path)  # one look at the directory instead of one for each file
        file, content = read_kustomization(material, place.path)
        references = tuple(_references(file, content))
        if top is None:
            top = (file, content)
            references += extra
        for reference in references:
            found = _follow(material, file, place.path, reference)
            if found is None or found.path in seen:
                continue
            seen.add(found.path)
            waiting.append(found)
            if len(seen) > _MOST_DIRECTORIES:
                raise Permanent(f"{file}: more than {_MOST_DIRECTORIES} directories are built on each other")
    assert top is not None
    return top


def read_kustomization(material: Material, directory: str) -> tuple[str, dict[str, Any]]:
    """Path and content of the kustomization file of a directory, which is added to the material."""
    for name in KUSTOMIZATIONS:
        found = material.find(join(directory, name))
        if found is None:
            continue
        if not found.file:
            raise Permanent(f"{found.path}: is no file")
        material.add_file(found)
        path = join(directory, name)
        documents = load_documents(material.lookup.tree.read([found.path])[found.path], path, _LIMITS)
        if len(documents) > 1 or not all(isinstance(document, dict) for document in documents):
            raise Permanent(f"{path}: want one map")
        return path, documents[0] if documents else {}
    raise Permanent(f"{directory or '.'}: has no kustomization.yaml")


def _references(file: str, content: dict[str, Any]) -> Iterator[Reference]:
    for name in _CHART_FIELDS:
        if content.get(name):
            raise Permanent(f"{file}: {name}: charts are not inflated by Kustomize here; use a Helm source of its own")
    for name in (*_DIRECTORY_FIELDS, *_FILE_FIELDS, *_PLUGIN_FIELDS):
        for position, value in enumerate(_list(content.get(name))):
            if isinstance(value, str) and not (name in _PLUGIN_FIELDS and "\n" in value):
                plugin = name in _PLUGIN_FIELDS
                yield Reference(f"{name}[{position}]", value, name not in _FILE_FIELDS, plugin)
    for position, value in enumerate(_list(content.get("patchesStrategicMerge"))):
        if isinstance(value, str) and "\n" not in value and ":" not in value:
            yield Reference(f"patchesStrategicMerge[{position}]", value)
    for name in ("patches", "patchesJson6902", "replacements"):
        for position, value in enumerate(_list(content.get(name))):
            if isinstance(value, dict) and isinstance(value.get("path"), str) and value["path"]:
                yield Reference(f"{name}[{position}].path", value["path"])
    openapi = content.get("openapi")
    if isinstance(openapi, dict) and isinstance(openapi.get("path"), str):
        yield Reference("openapi.path", openapi["path"])
    for name in _GENERATORS:
        for position, value in enumerate(_list(content.get(name))):
            if isinstance(value, dict):
                yield from _generator_files(f"{name}[{position}]", value)


def _generator_files(where: str, generator: dict[str, Any]) -> Iterator[Reference]:
    """Files of a ConfigMap or Secret generator; `files` may say `key=path`."""
    for position, value in enumerate(_list(generator.get("files"))):
        if isinstance(value, str):
            yield Reference(f"{where}.files[{position}]", value.partition("=")[2] or value)
    for position, value in enumerate(_list(generator.get("envs"))):
        if isinstance(value, str):
            yield Reference(f"{where}.envs[{position}]", value)
    if isinstance(generator.get("env"), str) and generator["env"]:
        yield Reference(f"{where}.env", generator["env"])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _follow(material: Material, file: str, base: str, reference: Reference) -> Found | None:
    """Add what a reference names to the material; returns it if it is a directory that is to be built too."""
    shown = f"{file}: {reference.where}: {_USER.sub('//', reference.path)[:120]}"
    if _REMOTE.search(reference.path) and (reference.directory or "://" in reference.path):
        found = None if "://" in reference.path else _local(material, base, reference.path)
        if found is None:
            raise Permanent(f"{shown}: is not in this repository, and nothing is fetched while rendering; copy it in")
    try:
        path = join(base, reference.path)
    except Permanent as error:
        raise Permanent(f"{file}: {reference.where}: {error.message}") from None
    found = material.find(path)
    if found is None:
        raise Permanent(f"{shown}: no such file or directory")
    if found.file:
        material.add_file(found)
        if reference.plugin and (home := material.find(base)) is not None:
            # A plugin's configuration names files of its own; they may only lie in or below this directory.
            material.add_directory(home)
        return None
    if not found.directory or not reference.directory:
        raise Permanent(f"{shown}: is no file")
    material.add_links(found.links)
    return found


def _local(material: Material, base: str, path: str) -> Found | None:
    try:
        return material.lookup.find(join(base, path))
    except Permanent:
        return None


def option_references(material: Material, base: str, options: KustomizeOptions) -> tuple[Reference, ...]:
    """The files and directories that the source's options name, missing components left out where that is allowed."""
    patches = [
        Reference(f"source.kustomize.patches[{position}].path", patch["path"])
        for position, patch in enumerate(options.patches)
        if patch.get("path")
    ]
    components = [
        Reference(f"source.kustomize.components[{position}]", component, directory=True)
        for position, component in enumerate(components_of(material, base, options))
    ]
    return (*patches, *components)


def components_of(material: Material, base: str, options: KustomizeOptions) -> tuple[str, ...]:
    """`components`, without those that do not exist if `ignoreMissingComponents` is set."""
    if not options.ignore_missing_components:
        return options.components
    return tuple(name for name in options.components if material.find(join(base, name)) is not None)


def edited(
    file: str, content: dict[str, Any], options: KustomizeOptions, components: tuple[str, ...], environment: Environment
) -> dict[str, Any]:
    """The kustomization with the source's options written in, in Argo CD's order; unchanged without options."""
    found = dict(content)
    if options.name_prefix:
        found["namePrefix"] = options.name_prefix
    if options.name_suffix:
        found["nameSuffix"] = options.name_suffix
    if options.images:
        images = [environment.expand(image) for image in options.images]
        found["images"] = merged_images(_list(content.get("images")), images)
    if options.replicas:
        named = {name for name, _ in options.replicas}
        kept = [each for each in _list(content.get("replicas")) if not _named(each, named)]
        found["replicas"] = kept + [{"name": name, "count": count} for name, count in options.replicas]
    if options.common_labels:
        _add_labels(file, found, options, environment)
    if options.common_annotations:
        _add_annotations(file, found, options, environment)
    if options.namespace:
        found["namespace"] = options.namespace
    if options.patches:
        found["patches"] = _list(content.get("patches")) + [dict(patch) for patch in options.patches]
    if components:
        found["components"] = _list(content.get("components")) + list(components)
    return found


def _named(value: Any, names: set[str]) -> bool:
    return isinstance(value, dict) and value.get("name") in names


def _add_labels(file: str, found: dict[str, Any], options: KustomizeOptions, environment: Environment) -> None:
    labels = {name: environment.expand(value) for name, value in options.common_labels.items()}
    common = _map(found.get("commonLabels"))
    entries = _list(found.get("labels"))
    pairs = [_map(entry.get("pairs")) for entry in entries if isinstance(entry, dict)]
    for name in labels:
        if not options.force_common_labels and any(name in one for one in (common, *pairs)):
            raise Permanent(f"{file}: label {name} is already set; set forceCommonLabels on the source to replace it")
    if not options.label_without_selector:
        found["commonLabels"] = {**common, **labels}
        return
    entry: dict[str, Any] = {"pairs": labels, "includeSelectors": False}
    if options.label_include_templates:
        entry["includeTemplates"] = True
    found["labels"] = [_without(each, set(labels)) for each in entries] + [entry]


def _without(entry: Any, names: set[str]) -> Any:
    """An entry of `labels` without the pairs that are set anew."""
    if not isinstance(entry, dict):
        return entry
    pairs = _map(entry.get("pairs"))
    return {**entry, "pairs": {name: value for name, value in pairs.items() if name not in names}}


def _add_annotations(file: str, found: dict[str, Any], options: KustomizeOptions, environment: Environment) -> None:
    expand = environment.expand if options.common_annotations_envsubst else str
    common = _map(found.get("commonAnnotations"))
    for name in options.common_annotations:
        if name in common and not options.force_common_annotations:
            raise Permanent(
                f"{file}: annotation {name} is already set; set forceCommonAnnotations on the source to replace it"
            )
    found["commonAnnotations"] = {
        **common,
        **{name: expand(value) for name, value in options.common_annotations.items()},
    }


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
