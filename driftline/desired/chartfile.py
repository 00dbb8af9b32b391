"""Chart.yaml and its lock: what a chart is called, what it depends on, at which versions. Called by desired.chart."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from driftline.desired.material import Material
from driftline.desired.paths import join
from driftline.desired.tools import CHART
from driftline.formats.yaml import Limits, load_documents
from driftline.model.errors import Permanent

_LIMITS = Limits(size=1024 * 1024)
_REQUIREMENTS = "requirements.yaml"
_FIELDS = ("name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias")
"""A dependency's fields in the order of Helm's own type; all but name and repository are left out when empty."""


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


def plain_name(name: str) -> bool:
    """Whether a chart's name is a name and not a path."""
    return bool(name) and name not in (".", "..") and not re.search(r"[/\\\x00-\x1f]", name)


def dependencies(material: Material, chart: str, metadata: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The dependencies that a chart declares, in Chart.yaml or in requirements.yaml (charts of apiVersion v1)."""
    declared = metadata.get("dependencies")
    if declared is None:
        declared = (_document(material, join(chart, _REQUIREMENTS)) or {}).get("dependencies")
    return [each for each in declared if isinstance(each, dict)] if isinstance(declared, list) else []


def locked_versions(
    material: Material, chart: str, metadata: Mapping[str, Any], declared: Sequence[Mapping[str, Any]]
) -> tuple[str, list[str] | None]:
    """The lock's path, and the exact version of each declared dependency by position.

    None: there is no lock (then the path is empty), or it was made for other dependencies.
    """
    old = metadata.get("apiVersion") == "v1"
    path = join(chart, "requirements.lock" if old else "Chart.lock")
    lock = _document(material, path)
    if lock is None:
        return "", None
    rows = lock.get("dependencies")
    entries = [each for each in rows if isinstance(each, dict)] if isinstance(rows, list) else []
    fits = [each.get("name") for each in entries] == [each.get("name") for each in declared]
    if not fits or lock.get("digest") not in _digests(declared, entries, old):
        return path, None
    return path, [str(each.get("version") or "") for each in entries]


def _digests(declared: Sequence[Mapping[str, Any]], locked: Sequence[Mapping[str, Any]], old: bool) -> set[str]:
    """What Helm writes into a lock as its digest; Helm 2 wrote another one.

    Source: helm.sh/helm/v4 v4.3.1, internal/resolver, HashReq and HashV2Req.
    """
    # Helm puts the URL in place of `@name` before it computes; the lock holds that URL.
    named = [
        {**each, "repository": at.get("repository")}
        if str(each.get("repository")).startswith(("@", "alias:"))
        else each
        for each, at in zip(declared, locked, strict=True)
    ]
    found = {_digest([[_fields(each) for each in named], [_fields(each) for each in locked]])}
    return found | {_digest({"dependencies": [_fields(each) for each in declared]})} if old else found


def _fields(dependency: Mapping[str, Any]) -> dict[str, Any]:
    texts = ("name", "version", "repository", "condition", "alias")
    values = {
        name: str(value) if name in texts and value is not None else value
        for name in _FIELDS
        if (value := dependency.get(name)) or name in ("name", "repository")
    }
    return {name: "" if value is None else _ordered(value) for name, value in values.items()}


def _ordered(value: Any) -> Any:
    """The same value with the keys of its maps sorted."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(each) for each in value] if isinstance(value, list) else value


def _digest(value: object) -> str:
    """SHA-256 of JSON as Go writes it: keys of maps sorted, what HTML would read as markup escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _document(material: Material, path: str) -> dict[str, Any] | None:
    """The one map in a file, None if there is no such file. Raises Permanent for another content."""
    found = material.lookup.find(path)
    if found is None or not found.file:
        return None
    documents = load_documents(material.lookup.tree.read([found.path])[found.path], path, _LIMITS)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise Permanent(f"{path}: want one map")
    return documents[0]
