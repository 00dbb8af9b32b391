"""What Driftline can do with one cluster: read its kinds and objects, and write them. Called by flow and `watch`."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from driftline.adapters.cluster.connection import SERVER, Connection, Request, Response
from driftline.adapters.cluster.limits import Place
from driftline.adapters.cluster.paths import collection_path, object_path, with_query
from driftline.adapters.cluster.refusals import Answer, Call, Expired, is_absent, translate
from driftline.adapters.cluster.served import Served
from driftline.adapters.cluster.watching import Events, open_watch
from driftline.adapters.settings import Settings
from driftline.model.access import ClusterAccess
from driftline.model.cluster import ApiRefused, Applied, ClusterUnreachable, Kinds, Listing, Refusal, Resource
from driftline.model.marks import MANAGER
from driftline.model.objects import Key, Object

T = TypeVar("T")

_LIST_RESTARTS = 3
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_APPLY = "application/apply-patch+yaml"
_DEFINES_KINDS = frozenset(
    {("apiextensions.k8s.io", "customresourcedefinitions"), ("apiregistration.k8s.io", "apiservices")}
)


def connect(access: ClusterAccess, settings: Settings) -> "Cluster":
    """A cluster, not yet spoken to. Raises Permanent for credentials that are refused or malformed.

    Make it after fork, keep it: it holds connections, discovery and schemas. Safe for many threads.
    """
    return Cluster(Connection(access, settings), settings)


@dataclass(frozen=True)
class Listed:
    """What is listed, in pages of `limit`."""

    resource: Resource
    namespace: str = ""
    label_selector: str = ""
    metadata_only: bool = False
    limit: int = 500


class Cluster:
    """One API server. Methods raise ApiRefused (about what was asked), ClusterUnreachable, or Temporary."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self.name = connection.name
        self._connection = connection
        self._served = Served(connection, settings.data_dir)

    def uid(self) -> str:
        """The cluster's identity: the uid of namespace kube-system. Two registrations of one cluster share it."""
        return self._served.uid()

    def version(self) -> str:
        """The API server's version, `v1.37.2`."""
        return self._served.version()

    def kinds(self, refresh: bool = False) -> Kinds:
        """What the API server serves: at most half a minute old, and new after we changed a CRD or APIService."""
        return self._served.kinds(refresh)

    def forget_kinds(self) -> None:
        """Ask again at the next use: a CRD or APIService changed, or a kind turned out not to be served."""
        self._served.forget()

    def openapi_hash(self, group: str, version: str) -> str:
        """Names the present schemas of a group version; empty if it publishes none."""
        return self._served.openapi_hash(group, version)

    def openapi(self, group: str, version: str) -> tuple[str, Mapping[str, Any]]:
        """The hash and the OpenAPI v3 document of a group version. Raises ApiRefused KIND_NOT_SERVED if none."""
        return self._served.openapi(group, version)

    def list(
        self,
        resource: Resource,
        namespace: str = "",
        label_selector: str = "",
        metadata_only: bool = False,
        limit: int = 500,
    ) -> Listing:
        """All objects of a kind that a selector finds, complete or not at all; each has its apiVersion and kind.

        Pages of `limit`. A continue token that expired half-way starts the listing again.
        """
        items, version = self._listed(Listed(resource, namespace, label_selector, metadata_only, limit), _itself)
        return Listing(tuple(items), version)

    def survey(
        self, resource: Resource, label_selector: str, take: Callable[[Object], T], limit: int = 500
    ) -> Sequence[T]:
        """What `take` makes of each object that a `list` would have. It takes a page while the next is under way.

        No more than two pages of objects are in memory. `take` must have no effects: it may see an object again.
        """
        return self._listed(Listed(resource, "", label_selector, limit=limit), take)[0]

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The object, or None if the API server says that exactly this object is not there."""
        call = self._call(resource, namespace, name, "get")
        response = self._send(Request("GET", _path(resource, call), call, repeat=True), frozenset({404}))
        if response.status == 404:
            self._must_be_absent(call, response)
            return None
        return response.object()

    def apply(
        self,
        resource: Resource,
        body: Object,
        *,
        manager: str = MANAGER,
        force: bool = True,
        uid: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> Applied:
        """Server-side apply. With `uid`, only that very object; with `resource_version`, only if it did not change.

        To create, pass force=False and look at `created`: apply has no create-only mode, it merges into what is there.
        """
        call = self._call_for(resource, body, "apply")
        query = {"fieldManager": manager, "force": "true" if force else "false", **_options(dry_run)}
        path = with_query(_path(resource, call), query)
        sent = _with_preconditions(body, uid, resource_version)
        # A repeated create would not answer 201 and look like somebody else's object.
        repeat = force or dry_run
        return self._write(Request("PATCH", path, call, sent, _APPLY, gate="write", repeat=repeat), resource, dry_run)

    def create(self, resource: Resource, body: Object, *, manager: str = MANAGER, dry_run: bool = False) -> Applied:
        """POST: it must not exist yet (ApiRefused EXISTS). With only generateName, the answer has the name."""
        call = self._call_for(resource, body, "create")
        path = with_query(collection_path(resource, call.key.namespace), {"fieldManager": manager, **_options(dry_run)})
        return self._write(Request("POST", path, call, body, gate="write"), resource, dry_run)

    def replace(self, resource: Resource, body: Object, *, manager: str = MANAGER, dry_run: bool = False) -> Applied:
        """PUT. With a metadata.resourceVersion in the body, only if it did not change since."""
        call = self._call_for(resource, body, "replace")
        path = with_query(_path(resource, call), {"fieldManager": manager, **_options(dry_run)})
        return self._write(Request("PUT", path, call, body, gate="write"), resource, dry_run)

    def json_patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        steps: Sequence[Mapping[str, Any]],
        *,
        manager: str = MANAGER,
        dry_run: bool = False,
    ) -> Object:
        """JSON patch (RFC 6902), all steps or none. A `test` that fails is ApiRefused CONFLICT."""
        call = self._call(resource, namespace, name, "json patch")
        path = with_query(_path(resource, call), {"fieldManager": manager, **_options(dry_run)})
        request = Request("PATCH", path, call, list(steps), "application/json-patch+json", gate="write")
        return self._write(request, resource, dry_run).body

    def merge_patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        manager: str = MANAGER,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Object:
        """JSON merge patch (RFC 7396) of the object or of a subresource such as `status`."""
        call = self._call(resource, namespace, name, "merge patch")
        path = with_query(_path(resource, call, subresource), {"fieldManager": manager, **_options(dry_run)})
        request = Request("PATCH", path, call, patch, "application/merge-patch+json", gate="write")
        return self._write(request, resource, dry_run).body

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str,
        resource_version: str = "",
        propagation: str = "foreground",
        dry_run: bool = False,
    ) -> None:
        """Ask for the deletion of exactly this object. Gone already is fine, another one is ApiRefused CONFLICT.

        `propagation`: `foreground`, `background` or `orphan`. Whether it is gone, a later GET tells.
        """
        call = self._call(resource, namespace, name, "delete")
        preconditions = {"uid": uid, **({"resourceVersion": resource_version} if resource_version else {})}
        options: Object = {"propagationPolicy": propagation.capitalize(), "preconditions": preconditions}
        if dry_run:
            options["dryRun"] = ["All"]
        path = with_query(_path(resource, call), {"timeout": SERVER})
        request = Request("DELETE", path, call, options, gate="write", repeat=True)
        response = self._send(request, frozenset({404}))
        if response.status == 404:
            self._must_be_absent(call, response)
        elif not dry_run:
            self._note_kind_change(resource)

    def watch(
        self,
        resource: Resource,
        namespace: str = "",
        label_selector: str = "",
        *,
        resource_version: str = "",
        initial: bool = False,
        timeout: int = 300,
    ) -> Events:
        """An open watch to iterate over and to `close`, also from another thread. See `watching.Events`.

        `initial`: the API server first sends every object there is (WatchList). Ends after about `timeout` seconds.
        """
        call = self._call(resource, namespace, "", "watch")
        path = collection_path(resource, namespace)
        return open_watch(self._connection, path, call, label_selector, resource_version, initial, timeout)

    @contextlib.contextmanager
    def listing_place(self, needed: bool) -> Iterator[Place]:
        """Hold one of the few places for LISTs while a watch sends its initial events; `leave` it when they end."""
        with self._connection.gate("list").hold(needed) as place:
            yield place

    def close(self) -> None:
        """Close the idle connections."""
        self._connection.close()

    def _listed(self, listed: "Listed", take: Callable[[Object], T]) -> tuple[Sequence[T], str]:
        """What `take` makes of all objects, and the list's resourceVersion."""
        for _ in range(_LIST_RESTARTS):
            try:
                with ThreadPoolExecutor(1, thread_name_prefix="next page") as ahead:
                    return self._listed_once(listed, take, ahead)
            except Expired:
                continue
        raise ClusterUnreachable(f"{listed.resource.kind}: listing it in cluster {self.name} expired again and again")

    def _listed_once(
        self, listed: "Listed", take: Callable[[Object], T], ahead: ThreadPoolExecutor
    ) -> tuple[Sequence[T], str]:
        """One attempt at a whole listing."""
        head = {"apiVersion": listed.resource.api_version, "kind": listed.resource.kind}
        found: list[T] = []
        page = self._page(listed, "")
        while True:
            metadata = page["metadata"]
            token = str(metadata.get("continue") or "")
            following = ahead.submit(self._page, listed, token) if token else None
            for item in page["items"] or ():
                item.update(head)
                found.append(take(item))
            if following is None:
                return found, str(metadata.get("resourceVersion", ""))
            page = following.result()

    def _page(self, listed: "Listed", token: str) -> Object:
        """One page as the API server sends it."""
        call = self._call(listed.resource, listed.namespace, "", "list")
        accept = _METADATA if listed.metadata_only else "application/json"
        query = {"labelSelector": listed.label_selector, "limit": str(listed.limit), "continue": token}
        path = with_query(collection_path(listed.resource, listed.namespace), query)
        page = self._send(Request("GET", path, call, accept=accept, gate="list", repeat=True)).json()
        if "items" not in page or not isinstance(page.get("metadata"), dict):
            raise ClusterUnreachable(f"{call}: what cluster {self.name} answered is no list")
        return page

    def _write(self, request: Request, resource: Resource, dry_run: bool) -> Applied:
        response = self._send(request)
        if not dry_run:
            self._note_kind_change(resource)
        # A webhook may say anything in a warning, so none about a Secret is passed on.
        warnings = () if request.call.confidential else _warnings(response)
        return Applied(response.object(), response.status == 201, warnings)

    def _send(self, request: Request, accept: frozenset[int] = frozenset()) -> Response:
        try:
            return self._connection.send(request, accept)
        except ApiRefused as refused:
            if refused.refusal is Refusal.KIND_NOT_SERVED:
                self.forget_kinds()
            raise

    def _must_be_absent(self, call: Call, response: Response) -> None:
        """A 404 that is not about the object proves nothing about it."""
        answer = Answer.read(response.status, response.body)
        if not is_absent(call, answer):
            self.forget_kinds()
            raise translate(call, answer, response.headers)

    def _note_kind_change(self, resource: Resource) -> None:
        if (resource.group, resource.plural) in _DEFINES_KINDS:
            self.forget_kinds()

    def _call(self, resource: Resource, namespace: str, name: str, verb: str) -> Call:
        key = Key(resource.group, resource.kind, namespace if resource.namespaced else "", name)
        return Call(self.name, key, resource.api_version, verb)

    def _call_for(self, resource: Resource, body: Object, verb: str) -> Call:
        metadata = body.get("metadata") or {}
        namespace, name = str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
        if resource.namespaced and not namespace:
            key = Key(resource.group, resource.kind, "", name)
            raise ApiRefused(f"{key}: it has no metadata.namespace", Refusal.INVALID)
        return self._call(resource, namespace, name, verb)


def _itself(item: Object) -> Object:
    return item


def _path(resource: Resource, call: Call, subresource: str = "") -> str:
    try:
        return object_path(resource, call.key.namespace, call.key.name, subresource)
    except ValueError:
        what = f"{call.key.name!r} cannot be a metadata.name" if call.key.name else "it has no metadata.name"
        raise ApiRefused(f"{call.key}: {what}", Refusal.INVALID) from None


def _options(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All" if dry_run else "", "timeout": SERVER}


def _with_preconditions(body: Object, uid: str, resource_version: str) -> Object:
    if not uid and not resource_version:
        return body
    metadata = dict(body["metadata"])
    if uid:
        metadata["uid"] = uid
    if resource_version:
        metadata["resourceVersion"] = resource_version
    return {**body, "metadata": metadata}


def _warnings(response: Response) -> tuple[str, ...]:
    """The texts of the Warning headers (RFC 7234: `299 - "text"`), which urllib3 joins by commas."""
    header = response.headers.get("Warning", "")
    return tuple(part.strip().strip('",') for part in header.split("299 - ") if part.strip())
