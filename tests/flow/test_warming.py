"""A new worker process has asked a cluster what it serves before the first job needs to know."""

from dataclasses import replace

from driftline.flow import warming
from tests.flow.installation import Installation

PLAIN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: %s}\n"


def asked_what_is_served(here: Installation, mark: int) -> list[str]:
    """Paths of discovery and schemas that were asked for since a mark."""
    entries = [each for each in here.local.audit(mark) if each.user == "driftline"]
    return [each.uri for each in entries if each.uri.startswith(("/openapi", "/apis?", "/api?", "/version"))]


def test_the_first_drift_after_a_start_asks_for_no_schema(small: Installation) -> None:
    small.push({"app/one.yaml": PLAIN % "'1'"})
    name = small.declare()
    small.settle()
    small.edges.close()
    small.edges = small.more_edges()
    mark = small.local.audit_mark()
    assert warming.warm(small.edges) == 1
    assert asked_what_is_served(small, mark) != []

    small.hands.merge_patch("v1/configmaps", small.namespace, "one", {"data": {"a": "2"}})
    mark = small.local.audit_mark()
    small.look(name, fresh=True)
    small.settle()
    assert small.phases(name)[0] == ("self-heal", "Succeeded")
    assert asked_what_is_served(small, mark) == []


def test_a_cluster_that_does_not_answer_keeps_no_process_from_starting(small: Installation) -> None:
    with small.edges.store.write() as db:
        db.exec_driver_sql("UPDATE cluster SET server = 'https://127.0.0.1:9', access = NULL")
    gone = replace(small.edges.settings, kubeconfig="/nowhere")
    assert warming.warm(replace(small.more_edges(), settings=gone)) == 0
