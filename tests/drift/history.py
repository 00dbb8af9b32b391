"""One object's life: what Git says over time, who edited it in the cluster, and what the product makes of it."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from deploy.localcluster.api import Api
from driftline.drift.compare import Context, compare, judge, judge_refusal
from driftline.drift.dropped import remember
from driftline.drift.fields import FieldSet
from driftline.drift.leftovers import release_patch, removal_patch, settle
from driftline.drift.normal import prepare
from driftline.drift.schema import Schemas, Type
from driftline.model.cluster import Refusal
from driftline.model.drift import Verdict, VerdictState
from driftline.model.marks import MANAGER, Marks
from driftline.model.objects import Object, group_of, version_of
from tests.drift.oracle import Where, drifted, left_behind
from tests.kit.cluster import path

MARKS = Marks("abcdefghijklmnopqrstuvwxyz", "shop")
APPLY, MERGE, JSON = (f"application/{kind}" for kind in ("apply-patch+yaml", "merge-patch+json", "json-patch+json"))


class Server:
    """Raw requests to one API server, and its schemas."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.calls = 0

    def call(self, method: str, target: str, body: Any = None, kind: str = "application/json") -> tuple[int, Any]:
        self.calls += 1
        return self.api.request(method, target, body, kind)

    @functools.cached_property
    def schemas(self) -> "SchemaStore":
        return SchemaStore(self)


class SchemaStore:
    """Types by kind, read from the server when first asked for."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._schemas: dict[str, Schemas] = {}

    def type_of(self, body: Mapping[str, Any]) -> Type | None:
        version = str(body["apiVersion"])
        if version not in self._schemas:
            _, document = self._server.call("GET", f"/openapi/v3/{'apis' if '/' in version else 'api'}/{version}")
            self._schemas[version] = Schemas.from_documents({version: document})
        return self._schemas[version].type_of(group_of(version), version_of(version), str(body["kind"]))


@dataclass
class History:
    """The object `web` of one kind in a namespace of the test."""

    server: Server
    resource: str
    namespace: str
    git: Object
    revisions: list[Object] = field(default_factory=list)
    """Every state of Git that we have applied."""
    owed: set[Where] = field(default_factory=set)
    """Places that earlier revisions set and that outlived our last apply. What was gone once is owed no more."""
    applied: FieldSet | None = None

    @property
    def name(self) -> str:
        return str(self.git["metadata"]["name"])

    @property
    def type(self) -> Type | None:
        return self.server.schemas.type_of(self.git)

    @property
    def desired(self) -> Object:
        body = {**self.git, "metadata": {**self.git["metadata"], "namespace": self.namespace}}
        return prepare(MARKS.stamp(body))

    @property
    def context(self) -> Context:
        return Context(self.type, MARKS, applied=self.applied)

    def target(self, sub: str = "", **query: str) -> str:
        return path(self.resource, self.namespace, self.name, sub, query=query)

    def live(self) -> Object:
        status, body = self.server.call("GET", self.target())
        assert status == 200, body
        found: Object = body
        return found

    def fresh(self) -> Object:
        """What the API server would store if Git's object were new."""
        status, answer = self.try_fresh()
        assert status == 201, answer
        found: Object = answer
        return found

    def try_fresh(self) -> tuple[int, Any]:
        """The answer to creating Git's object elsewhere, as a dry run."""
        body = {**self.desired, "metadata": {**self.desired["metadata"], "namespace": "default"}}
        return self.server.call("POST", path(self.resource, "default", query={"dryRun": "All"}), body)

    def apply(self) -> tuple[int, Any]:
        """Our own server-side apply; remembers the field set that it had."""
        status, live = self.server.call("GET", self.target())
        before = live if status == 200 else None
        status, answer = self.patch_as(MANAGER, self.desired)
        if status < 300:
            self.applied = remember(before, answer, self.context)
            self.owed = self.left(answer, self.fresh())
            self.revisions.append(self.desired)
        return status, answer

    def drift(self, live: Object) -> set[Where]:
        """What Git says against what live has, with no help from the product."""
        fresh = self.fresh()
        return drifted(self.desired, live, fresh) | self.left(live, fresh)

    def left(self, live: Object, fresh: Object) -> set[Where]:
        """What earlier revisions left behind: the last one anything, those before it only what was never gone."""
        sides = self.desired, live, fresh
        last = left_behind(self.revisions[-1], *sides) if self.revisions else set()
        return last.union(*(left_behind(before, *sides) & self.owed for before in self.revisions[:-1]))

    def patch_as(self, manager: str, body: Any, kind: str = APPLY, sub: str = "", **query: str) -> tuple[int, Any]:
        """Any patch by any manager."""
        force = {"force": "true"} if kind == APPLY else {}
        return self.server.call("PATCH", self.target(sub, fieldManager=quote(manager), **force, **query), body, kind)

    def verdict(self, live: Object) -> Verdict:
        """What the product says of this live object: locally if it can, else after a dry run."""
        found = compare(self.desired, live, self.context)
        return self.dry_verdict(live) if found.state is VerdictState.SUSPECT else found

    def dry_verdict(self, live: Object) -> Verdict:
        """The verdict of a dry run, with leftovers tried out."""
        held = {name: live["metadata"][name] for name in ("uid", "resourceVersion")}
        body = {**self.desired, "metadata": {**self.desired["metadata"], **held}}
        status, answer = self.patch_as(MANAGER, body, dryRun="All")
        if status >= 300:
            return judge_refusal(self.desired, live, refusal_of(status, answer), answer["message"], self.context)
        verdict = judge(self.desired, live, answer, self.context)
        tried = {}
        for leftover in verdict.leftovers:
            status, answer = self.patch_as(MANAGER, removal_patch(live, [leftover], self.type), JSON, dryRun="All")
            tried[leftover.path] = answer if status < 300 else None
        return settle(verdict, tried, self.type)

    def repair(self) -> None:
        """Bring live to what Git says: an apply, then what no apply removes."""
        for _ in range(3):
            live = self.live()
            verdict = self.dry_verdict(live)
            if verdict.state is VerdictState.SYNCED:
                return
            status, answer = self.apply()
            if status < 300 and verdict.leftovers:
                patch = removal_patch(answer, verdict.leftovers, self.type)
                status, _ = self.patch_as(MANAGER, patch, JSON)
            if status == 422 and verdict.leftovers:
                # Not valid piece by piece: make the leftovers ours alone, and the next apply takes them away.
                status, answer = self.patch_as(MANAGER, release_patch(self.live(), verdict.leftovers), JSON)
                assert status < 300, answer
                self.apply()


def refusal_of(status: int, answer: Any) -> Refusal:
    """How the API server refused, as the cluster adapter tells it."""
    message = str(answer.get("message", ""))
    if status == 409:
        return Refusal.CONFLICT
    if status == 500:
        return Refusal.UNAPPLICABLE
    if status == 422:
        return Refusal.IMMUTABLE if "immutable" in message or "updates to" in message else Refusal.INVALID
    return Refusal.FORBIDDEN
