"""From the bytes of manifest files to objects, by Argo CD's rules for directories (GEN-03, GEN-04).

Runs in the render helper, on content that nobody vouches for.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from driftline.formats.yaml import Document, Limits, located_documents
from driftline.model.errors import Permanent

SKIP_MARKER = b"# +argocd:skip-file-rendering"
_SIGNS = (b"apiVersion:", b"kind:", b"metadata:")


@dataclass(frozen=True)
class Parsed:
    """Objects with where each stands (`deploy/web.yaml:12`), and what was passed over."""

    objects: tuple[Any, ...]
    origins: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def parse_files(files: Iterable[tuple[str, bytes]], limits: Limits) -> Parsed:
    """Read manifest files in the order given. Raises Permanent (`file:line: cause`)."""
    objects: list[Any] = []
    origins: list[str] = []
    warnings: list[str] = []
    for name, content in files:
        if SKIP_MARKER in content:
            continue
        found = _documents(name, content, limits)
        if found is None:
            warnings.append(f"{name}: not a Kubernetes manifest, passed over")
            continue
        objects += [document.value for document in found]
        origins += [f"{name}:{document.line}" for document in found]
    return Parsed(tuple(objects), tuple(origins), tuple(warnings))


def _documents(name: str, content: bytes, limits: Limits) -> list[Document] | None:
    """The documents of one file, None for a YAML file that is about something else."""
    try:
        found = located_documents(content, name, limits)
    except Permanent:
        if name.endswith(".json") or _like_manifest(content):
            raise
        return None
    if name.endswith(".json"):
        if found and isinstance(found[0].value, list):
            raise Permanent(f"{name}: a .json file holds exactly one object, not a list")
        return found
    if found and not _has_kind(found[0].value) and not _like_manifest(content):
        return None
    return found


def _like_manifest(content: bytes) -> bool:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        content = content.replace(b"\0", b"")
    return all(sign in content for sign in _SIGNS)


def _has_kind(value: Any) -> bool:
    return isinstance(value, dict) and bool(value.get("kind"))


def parse_stream(content: bytes, name: str, limits: Limits) -> Parsed:
    """Read a tool's output. Helm's `# Source:` comments say which template each document is from."""
    found = located_documents(content, name, limits)
    sources = dict(_sources(content))
    origins: list[str] = []
    lines = sorted(sources)
    for document in found:
        above = [line for line in lines if line <= document.line]
        origins.append(sources[above[-1]] if above else f"{name}:{document.line}")
        lines = lines[max(len(above) - 1, 0) :]
    return Parsed(tuple(document.value for document in found), tuple(origins))


def _sources(content: bytes) -> Iterator[tuple[int, str]]:
    """(line, template) for each of Helm's comments."""
    if b"\n# Source: " not in content:
        return
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.startswith(b"# Source: "):
            yield number, line[10:].decode("utf-8", "replace").strip()
