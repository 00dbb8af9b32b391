"""Records what the unit tests of the comparison need from a real API server: `python -m tests.drift.record`."""

import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from driftline.drift.schema import trim
from driftline.model.marks import MANAGER
from tests.drift.catalogue import GROUP, OBJECTS, gadget_crd
from tests.drift.history import History, Server
from tests.kit.cluster import eventually, new_namespace, own_cluster

DATA: Final = Path(__file__).parents[1] / "unit" / "drift" / "data"


def main() -> None:
    """Apply every object of the catalogue and write its answer, and the schemas of their kinds."""
    cluster = own_cluster(controllers=False)
    server = Server(cluster.api("admin"))
    crd = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gadgets.{GROUP}?fieldManager=admin"
    server.call("PATCH", crd, gadget_crd(), "application/apply-patch+yaml")
    eventually(lambda: server.call("GET", f"/openapi/v3/apis/{GROUP}/v1")[0] == 200)
    namespace = new_namespace(cluster)
    answers = {}
    for resource, body in OBJECTS.items():
        history = History(server, resource, namespace, body)
        status, answer = history.patch_as(MANAGER, {**body, "metadata": {**body["metadata"], "namespace": namespace}})
        assert status == 201, answer
        answers[resource] = answer
    kinds = {(str(body["apiVersion"]), str(body["kind"])) for body in OBJECTS.values()}
    documents = {}
    for version in sorted({version for version, _ in kinds}):
        _, document = server.call("GET", f"/openapi/v3/{'apis' if '/' in version else 'api'}/{version}")
        documents[version] = only(trim(document), version, {kind for of, kind in kinds if of == version})
    save("schemas", documents)
    save("applied", answers)


def only(document: Mapping[str, Any], version: str, kinds: set[str]) -> dict[str, Any]:
    """A document with nothing but what these kinds refer to."""
    schemas = document["components"]["schemas"]
    wanted = [name for name in schemas if any(entry["kind"] in kinds for entry in _kinds(schemas[name]))]
    found: dict[str, Any] = {}
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = schemas[name]
            wanted += references(schemas[name])
    return {"components": {"schemas": found}}


def references(schema: Any) -> Iterator[str]:
    """The names of the definitions that a schema refers to."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].rpartition("/")[2]
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


def save(name: str, value: Any) -> None:
    """Write a data file, the same bytes for the same value."""
    packed = gzip.compress(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), mtime=0)
    (DATA / f"{name}.json.gz").write_bytes(packed)


def _kinds(schema: Mapping[str, Any]) -> list[dict[str, str]]:
    return list(schema.get("x-kubernetes-group-version-kind") or ())


if __name__ == "__main__":
    main()
