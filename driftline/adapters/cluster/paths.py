"""Where objects live in the API. Called by the other modules of this folder."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from driftline.model.cluster import Resource


def collection_path(resource: Resource, namespace: str = "") -> str:
    """The path of all objects of a kind, or of those in one namespace."""
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    if resource.namespaced and namespace:
        return f"{root}/namespaces/{quote(namespace, safe='')}/{resource.plural}"
    return f"{root}/{resource.plural}"


def object_path(resource: Resource, namespace: str, name: str, subresource: str = "") -> str:
    """The path of one object. Raises ValueError for a name that cannot be part of a path."""
    if not name or name in (".", "..") or "/" in name or "%" in name:
        raise ValueError(name)
    path = f"{collection_path(resource, namespace)}/{quote(name, safe='')}"
    return f"{path}/{subresource}" if subresource else path


def with_query(path: str, query: Mapping[str, str]) -> str:
    """The path with those parameters that have a value."""
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path
