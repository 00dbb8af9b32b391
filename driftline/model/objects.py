"""Kubernetes objects and their names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
"""One Kubernetes object as plain JSON values. Treated as immutable once it has left the function that made it."""


@dataclass(frozen=True, order=True, slots=True)
class Kind:
    """A group and kind, without version: `apps/Deployment`, `Service`."""

    group: str
    kind: str

    def __str__(self) -> str:
        return f"{self.group}/{self.kind}" if self.group else self.kind


@dataclass(frozen=True, order=True, slots=True)
class Key:
    """Which object of a cluster is meant. `namespace` is empty for cluster-scoped objects; the version is no part."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """For people: `apps/Deployment/shop/web`, `Namespace/shop`."""
        parts = (self.group, self.kind, self.namespace, self.name)
        return "/".join(part for part in parts if part)

    @property
    def id(self) -> str:
        """For columns and dictionaries: always three slashes, so that it can be parsed again."""
        return f"{self.group}/{self.kind}/{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> "Key":
        """Read what `id` wrote. Raises ValueError for anything else."""
        parts = text.split("/")
        if len(parts) != 4 or not parts[1] or not parts[3]:
            raise ValueError(f"{text!r} is no object key: want group/kind/namespace/name")
        return cls(*parts)

    @property
    def group_kind(self) -> Kind:
        return Kind(self.group, self.kind)


def group_of(api_version: str) -> str:
    """The group in an apiVersion; empty for the core group (`v1`)."""
    return api_version.rpartition("/")[0]


def version_of(api_version: str) -> str:
    """The version in an apiVersion: `v1` of `apps/v1`."""
    return api_version.rpartition("/")[2]


def key_of(body: Mapping[str, Any]) -> Key:
    """The key of an object that has apiVersion, kind and metadata.name; a missing namespace is empty."""
    metadata = body.get("metadata") or {}
    return Key(
        group_of(str(body.get("apiVersion", ""))),
        str(body.get("kind", "")),
        str(metadata.get("namespace") or ""),
        str(metadata.get("name") or ""),
    )


def annotations_of(body: Mapping[str, Any]) -> Mapping[str, str]:
    """The annotations of an object, empty where it has none or they are malformed."""
    found = (body.get("metadata") or {}).get("annotations")
    return found if isinstance(found, dict) else {}


def labels_of(body: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels of an object, empty where it has none or they are malformed."""
    found = (body.get("metadata") or {}).get("labels")
    return found if isinstance(found, dict) else {}
