"""`.argocd-source.yaml` and `.argocd-source-<app>.yaml`: parameters of a source kept in Git (GEN-12)."""

from collections.abc import Iterable
from typing import Any

from driftline.desired.directory import OVERRIDES_PREFIX
from driftline.formats.sources import read_source, source_document
from driftline.formats.yaml import Limits, load_documents
from driftline.model.application import Source
from driftline.model.errors import Permanent

_FIXED = frozenset({"repoURL", "path", "chart", "targetRevision"})
_LIMITS = Limits(size=1024 * 1024)


def override_names(application: str) -> tuple[str, str]:
    """The names of the files, in the order in which they count."""
    return f"{OVERRIDES_PREFIX}.yaml", f"{OVERRIDES_PREFIX}-{application}.yaml"


def overridden(source: Source, files: Iterable[tuple[str, bytes]]) -> tuple[Source, tuple[str, ...]]:
    """The source with each file (name, content) merged in, and warnings of what in them is unknown.

    Where a source comes from cannot be changed: repoURL, path, chart and targetRevision in them are passed over.
    Raises Permanent.
    """
    warnings: list[str] = []
    for name, content in files:
        for patch in load_documents(content, name, _LIMITS)[:1]:
            if not isinstance(patch, dict):
                raise Permanent(f"{name}: want a map with the fields of a source")
            kept = {key: value for key, value in patch.items() if key not in _FIXED}
            source, unknown = read_source(merged(source_document(source), kept), name)
            warnings += [f"{name}: {warning}" for warning in unknown]
    return source, tuple(warnings)


def merged(target: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7396): null removes, maps merge, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
