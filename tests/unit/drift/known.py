"""What a real API server answered, for tests that need its schemas or objects that were applied to it."""

import copy
import functools
import gzip
from pathlib import Path
from typing import Any

import orjson

from driftline.drift.compare import Context
from driftline.drift.fields import FieldSet, fields_of
from driftline.drift.schema import Schemas, Type
from driftline.model.marks import MANAGER, Marks
from driftline.model.objects import Object, group_of, version_of

MARKS = Marks("abcdefghijklmnopqrstuvwxyz", "shop")


@functools.cache
def recorded(name: str) -> Any:
    """A data file written by `tests.drift.record`."""
    return orjson.loads(gzip.decompress((Path(__file__).parent / "data" / f"{name}.json.gz").read_bytes()))


@functools.cache
def schemas() -> Schemas:
    return Schemas.from_documents(recorded("schemas"))


def type_of(body: Object) -> Type:
    found = schemas().type_of(group_of(body["apiVersion"]), version_of(body["apiVersion"]), body["kind"])
    assert found is not None
    return found


def applied(resource: str) -> Object:
    """The API server's answer to our apply of the catalogue's object."""
    answer: Object = copy.deepcopy(recorded("applied")[resource])
    return answer


def context(desired: Object, **more: Any) -> Context:
    return Context(type_of(desired), MARKS, **more)


def live_of(desired: Object, uid: str = "u1") -> Object:
    """What the API server would hold after our apply of an object that needs no defaults."""
    body = copy.deepcopy(desired)
    body["metadata"] |= {"uid": uid, "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return owning(body, fields_of(desired, type_of(desired)))


def owning(live: Object, fields: FieldSet, manager: str = MANAGER, operation: str = "Apply", **more: str) -> Object:
    """The object with one entry more, or another one, in managedFields."""
    entry = {
        "manager": manager,
        "operation": operation,
        "apiVersion": live["apiVersion"],
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields.to_fields_v1(),
        **more,
    }
    others = [
        each
        for each in live["metadata"].get("managedFields", [])
        if (each["manager"], each["operation"], each.get("subresource"))
        != (manager, operation, more.get("subresource"))
    ]
    return {**live, "metadata": {**live["metadata"], "managedFields": [*others, entry]}}


def config_map(**data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "shop"}, "data": data}
