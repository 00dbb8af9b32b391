"""A person's word on the Application that deletions may run: Argo CD's annotation (OPT-02, OPT-03, ANN-10)."""

from collections.abc import Mapping
from datetime import UTC, datetime

DELETION_APPROVED = "argocd.argoproj.io/deletion-approved"
"""An RFC 3339 time. It allows what asks for confirmation in an operation, or a deletion, that began before it."""


def approves(annotations: Mapping[str, str], since: datetime) -> bool:
    """Whether the annotation allows the deletions of an operation that began at `since` (aware UTC).

    The annotation has whole seconds, so a word given within the first second counts. What is no time with a zone, or
    is older than the operation, allows nothing.
    """
    try:
        said = datetime.fromisoformat(str(annotations.get(DELETION_APPROVED) or ""))
    except ValueError:
        return False
    return said.tzinfo is not None and said >= since.replace(microsecond=0)


def stamp(now: datetime) -> str:
    """`now` as the annotation spells it."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def only_confirms(before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    """Whether two declarations of an application differ in nothing but this annotation."""
    return _without(before) == _without(after)


def confirmed(document: Mapping[str, object], now: datetime) -> dict[str, object]:
    """A declaration with the annotation of this moment."""
    metadata = _mapping(document.get("metadata"))
    annotations = {**_mapping(metadata.get("annotations")), DELETION_APPROVED: stamp(now)}
    return {**document, "metadata": {**metadata, "annotations": annotations}}


def _without(document: Mapping[str, object]) -> Mapping[str, object]:
    metadata = _mapping(document.get("metadata"))
    annotations = {
        name: text for name, text in _mapping(metadata.get("annotations")).items() if name != DELETION_APPROVED
    }
    rest = {name: value for name, value in metadata.items() if name != "annotations"}
    return {**document, "metadata": {**rest, "annotations": annotations}}


def _mapping(found: object) -> dict[str, object]:
    return dict(found) if isinstance(found, dict) else {}
