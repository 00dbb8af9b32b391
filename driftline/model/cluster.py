"""What the core knows of a cluster: its kinds, and how its API server can refuse."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from driftline.model.errors import Permanent, Temporary
from driftline.model.objects import Kind, Object


@dataclass(frozen=True, slots=True)
class Resource:
    """One served kind in one version: where its objects live in the API."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True)
class Kinds:
    """Discovery of one cluster. `broken` holds the groups whose discovery failed: unknown, not gone."""

    resources: Mapping[tuple[str, str], Mapping[str, Resource]]
    """(group, kind) -> version -> resource."""
    preferred: Mapping[str, str] = field(default_factory=dict)
    """group -> preferred version."""
    broken: frozenset[str] = frozenset()

    def find(self, group: str, kind: str, version: str = "") -> Resource | None:
        """The resource of a kind, in `version` if given and served, None if not; else in the preferred version."""
        versions = self.resources.get((group, kind))
        if not versions:
            return None
        if version:
            return versions.get(version)
        return versions.get(self.preferred.get(group, "")) or next(iter(versions.values()))

    def knows(self, kind: Kind) -> bool:
        return (kind.group, kind.kind) in self.resources


@dataclass(frozen=True)
class Listing:
    """All pages of one LIST."""

    items: tuple[Object, ...]
    resource_version: str


@dataclass(frozen=True)
class Applied:
    """The API server's answer to a write."""

    body: Object
    created: bool
    warnings: tuple[str, ...] = ()
    """What the API server remarked: a deprecated version, an unknown field that it dropped."""
    client_side: bool = False
    """Written as a whole, because it could not be applied."""


class Refusal(StrEnum):
    """Why an API server refused one object."""

    CONFLICT = "conflict"
    """409: another uid or resourceVersion, or field managers that hold other values."""
    EXISTS = "exists"
    """A create met an object that is already there."""
    IMMUTABLE = "immutable"
    INVALID = "invalid"
    FORBIDDEN = "forbidden"
    """403, from permissions, quota or an admission policy."""
    KIND_NOT_SERVED = "kind not served"
    NAMESPACE_MISSING = "namespace missing"
    NAMESPACE_TERMINATING = "namespace terminating"
    UNAPPLICABLE = "cannot be applied"
    NO_APPLY = "no server-side apply"
    """The API has none: such an object is written as a whole."""
    TOO_LARGE = "too large"
    UNAUTHORIZED = "unauthorized"


class ApiRefused(Permanent):
    """The API server answered and said no. `refusal` says how; the message starts with the object's key."""

    def __init__(self, message: str, refusal: Refusal) -> None:
        super().__init__(message)
        self.refusal = refusal


class ClusterUnreachable(Temporary):
    """No answer, or 429/5xx that says nothing about the object: its verdict is unknown."""
