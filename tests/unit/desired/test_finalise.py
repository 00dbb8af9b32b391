"""Rendered objects become what the cluster should hold; what is wrong with one does not stop the others."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.desired.clean import folded
from driftline.desired.finalise import Desired, finalise
from driftline.desired.hooks import HOOK, HOOK_DELETE_POLICY, SYNC_WAVE
from driftline.model.application import Application, Destination, Source
from driftline.model.cluster import Kinds, Resource
from driftline.model.digests import digest
from driftline.model.marks import INSTALLATION_LABEL, TRACKING_ANNOTATION, Marks, marked
from driftline.model.objects import Key, Object

SHOP = Application("shop", Destination(name="in-cluster", namespace="store"), (Source("https://git.example/a", "a"),))
MARKS = Marks("abcdefghijklmnopqrstuvwxyz", "shop")


def served(api_version: str, kind: str, plural: str, namespaced: bool = True) -> tuple[tuple[str, str], Any]:
    group, _, version = api_version.rpartition("/")
    return (group, kind), {version: Resource(group, version, kind, plural, namespaced)}


KINDS = Kinds(
    dict(
        [
            served("v1", "ConfigMap", "configmaps"),
            served("v1", "Secret", "secrets"),
            served("v1", "Service", "services"),
            served("v1", "Pod", "pods"),
            served("v1", "Namespace", "namespaces", namespaced=False),
            served("apps/v1", "Deployment", "deployments"),
            served("apps/v1", "StatefulSet", "statefulsets"),
            served("batch/v1", "Job", "jobs"),
            served("batch/v1", "CronJob", "cronjobs"),
            served("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", False),
            served("access.example/v1", "AllowList", "allowlists"),
        ]
    )
)


def made(kind: str, name: str | None = "x", api: str = "v1", **more: Any) -> Object:
    """One object; `metadata` is merged into the name."""
    metadata = {"name": name} if name else {}
    return {"apiVersion": api, "kind": kind, "metadata": metadata | more.pop("metadata", {}), **more}


def desired(*objects: Any, app: Application = SHOP) -> Desired:
    return finalise(objects, app, KINDS, MARKS, [f"f.yaml:{number}" for number in range(1, len(objects) + 1)])


def only(*objects: Any) -> Object:
    """The one object that comes of these."""
    found = desired(*objects)
    assert found.problems == ()
    (body,) = found.objects.values()
    return body


def problems(*objects: Any) -> list[str]:
    return [f"{problem.key}: {problem.message}" for problem in desired(*objects).problems]


@pytest.mark.covers("CMP-01")
def test_namespaces_follow_the_scope_of_the_kind() -> None:
    found = desired(
        made("ConfigMap", "a"),
        made("ConfigMap", "b", metadata={"namespace": "other"}),
        made("Namespace", "c", metadata={"namespace": "nonsense"}),
        made("Widget", "d", "example.com/v1"),
    )
    assert list(map(str, found.objects)) == [
        "ConfigMap/store/a",
        "ConfigMap/other/b",
        "Namespace/c",
        "example.com/Widget/store/d",
    ]
    assert "namespace" not in found.objects[Key("", "Namespace", "", "c")]["metadata"]


def test_a_crd_of_the_same_render_says_the_scope_of_its_objects() -> None:
    spec = {"group": "example.com", "names": {"kind": "Widget"}, "scope": "Cluster"}
    crd = made("CustomResourceDefinition", "widgets.example.com", "apiextensions.k8s.io/v1", spec=spec)
    found = desired(made("Widget", "w", "example.com/v1", metadata={"namespace": "a"}), crd)
    assert Key("example.com", "Widget", "", "w") in found.objects


def test_no_namespace_at_all_is_a_problem_of_that_object_only() -> None:
    app = Application("shop", Destination(name="in-cluster"), SHOP.sources)
    found = desired(made("ConfigMap"), made("Namespace", "n"), app=app)
    assert [problem.message for problem in found.problems] == [
        "f.yaml:1: ConfigMap/x has no namespace: set one, or destination.namespace"
    ]
    assert list(found.objects) == [Key("", "Namespace", "", "n")]


@pytest.mark.covers("TRK-02")
def test_every_object_carries_both_marks_crds_included() -> None:
    found = desired(
        made("ConfigMap", metadata={"labels": {"a": "b"}}),
        made("Namespace", "n"),
        made("CustomResourceDefinition", "c.example.com", "apiextensions.k8s.io/v1"),
        made("Deployment", "web", "apps/v1"),
    )
    assert all(marked(body, MARKS) for body in found.objects.values())
    tracking = [body["metadata"]["annotations"][TRACKING_ANNOTATION] for body in found.objects.values()]
    assert tracking == [
        "shop:/ConfigMap:store/x",
        "shop:/Namespace:store/n",
        "shop:apiextensions.k8s.io/CustomResourceDefinition:store/c.example.com",
        "shop:apps/Deployment:store/web",
    ]
    assert found.objects[Key("", "ConfigMap", "store", "x")]["metadata"]["labels"] == {
        "a": "b",
        INSTALLATION_LABEL: MARKS.installation,
    }


def test_digests_are_those_of_the_objects() -> None:
    found = desired(made("ConfigMap"), made("Namespace", "n"))
    assert found.digests == {key: digest(body) for key, body in found.objects.items()}


@pytest.mark.covers("GEN-03")
def test_lists_are_expanded_but_a_kind_that_only_ends_in_list_is_not() -> None:
    found = desired(
        {"apiVersion": "v1", "kind": "List", "items": [made("ConfigMap", "a"), made("Namespace", "b")]},
        {"apiVersion": "v1", "kind": "ConfigMapList", "items": [{"metadata": {"name": "c"}}]},
        made("AllowList", "d", "access.example/v1", items=[1]),
        {"apiVersion": "v1", "kind": "List", "items": []},
    )
    assert [str(key) for key in found.objects] == [
        "ConfigMap/store/a",
        "Namespace/b",
        "ConfigMap/store/c",
        "access.example/AllowList/store/d",
    ]
    assert found.problems == ()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("text", "Document/no. 1: f.yaml:1: this document is no Kubernetes object"),
        ([1], "Document/no. 1: f.yaml:1: this document is no Kubernetes object"),
        ({"kind": "ConfigMap", "metadata": {"name": "a"}}, "ConfigMap/a: f.yaml:1: an object without apiVersion"),
        ({"apiVersion": "v1", "metadata": {"name": "a"}}, "Object/a: f.yaml:1: an object without kind"),
        (made("ConfigMap", None), "ConfigMap/store/no. 1: f.yaml:1: ConfigMap without metadata.name"),
        ({"apiVersion": "v1", "kind": "ConfigMap"}, "ConfigMap/no. 1: f.yaml:1: ConfigMap without metadata.name"),
        (
            made("Job", None, "batch/v1", metadata={"generateName": "a-"}),
            "batch/Job/store/a-: f.yaml:1: Job without metadata.name; generateName is for hooks",
        ),
        (made("ConfigMap", metadata={"name": 1}), "ConfigMap/no. 1: f.yaml:1: ConfigMap: metadata.name: want a text"),
        (made("ConfigMap", "a/b"), "ConfigMap/a_b: f.yaml:1: ConfigMap: metadata.name: 'a/b' cannot be a name"),
        (made("ConfigMap", ".."), "ConfigMap/..: f.yaml:1: ConfigMap: metadata.name: '..' cannot be a name"),
        (made("ConfigMap", metadata={"labels": []}), "ConfigMap/x: metadata.labels: want a map"),
        (made("ConfigMap", metadata={"labels": {"a": 1}}), "metadata.labels.a: want a text: put it in quotes"),
        (made("Secret", data={"pw": "hunter2!"}), "Secret/store/x: f.yaml:1: data.pw: not valid base64"),
        (made("Secret", data={"pw": 12345}), "Secret/store/x: f.yaml:1: data.pw: want base64 text"),
        (made("Secret", stringData={"pw": 12345}), "Secret/store/x: f.yaml:1: stringData.pw: want a text"),
        (made("Secret", data=["hunter2"]), "Secret/store/x: f.yaml:1: data: want a map"),
    ],
)
def test_what_is_wrong_with_one_object_does_not_stop_the_others(body: Any, problem: str) -> None:
    found = desired(body, made("ConfigMap", "good"))
    (text,) = (f"{each.key}: {each.message}" for each in found.problems)
    assert problem in text
    assert "hunter2" not in text and "12345" not in text
    assert Key.parse(found.problems[0].key.id) == found.problems[0].key
    assert list(found.objects) == [Key("", "ConfigMap", "store", "good")]


@pytest.mark.covers("OBJ-13")
@pytest.mark.covers("GEN-15")
def test_of_an_object_given_twice_the_last_one_counts() -> None:
    found = desired(
        made("ConfigMap", data={"a": "1"}), made("ConfigMap", metadata={"namespace": "store"}, data={"a": "2"})
    )
    (body,) = found.objects.values()
    assert body["data"] == {"a": "2"}
    assert found.warnings == ("RepeatedResourceWarning: ConfigMap/store/x is given 2 times; the last one counts",)


def test_what_the_server_writes_is_left_out() -> None:
    exported = made(
        "Deployment",
        api="apps/v1",
        status={"replicas": 1},
        metadata={"creationTimestamp": None, "resourceVersion": "1", "uid": "u", "managedFields": [{}]},
        spec={"template": {"metadata": {"creationTimestamp": None, "labels": {"a": "b"}}}},
    )
    found = desired(exported)
    (body,) = found.objects.values()
    assert body.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert body["metadata"].keys() == {"name", "namespace", "labels", "annotations"}
    assert body["spec"] == {"template": {"metadata": {"labels": {"a": "b"}}}}
    assert found.warnings == (
        "apps/Deployment/store/x: metadata.managedFields, metadata.resourceVersion, metadata.uid:"
        " set by the server, left out",
    )
    claim = {"metadata": {"name": "d", "creationTimestamp": None}, "status": {"phase": "Pending"}}
    stateful = only(made("StatefulSet", api="apps/v1", spec={"volumeClaimTemplates": [claim], "template": {}}))
    assert stateful["spec"]["volumeClaimTemplates"] == [{"metadata": {"name": "d"}}]


def test_string_data_becomes_data() -> None:
    body = only(made("Secret", stringData={"a": "new", "c": ""}, data={"a": "b2xk", "b": "b2\nxk\n"}))
    assert "stringData" not in body
    assert body["data"] == {"a": base64.b64encode(b"new").decode(), "b": "b2xk", "c": ""}
    assert "data" not in only(made("Secret"))
    other = only(made("ConfigMap", stringData={"a": "b"}))
    assert other["stringData"] == {"a": "b"}, "only a core Secret has it"


@given(
    data=st.dictionaries(st.text(max_size=3), st.binary(max_size=6)),
    plain=st.dictionaries(st.text(max_size=3), st.text(max_size=6)),
)
def test_a_folded_secret_holds_what_the_server_would(data: dict[str, bytes], plain: dict[str, str]) -> None:
    encoded = {name: base64.b64encode(value).decode() for name, value in data.items()}
    found = folded({"kind": "Secret", "data": encoded, "stringData": plain})
    want = {**data, **{name: text.encode() for name, text in plain.items()}}
    assert {name: base64.b64decode(text) for name, text in (found.get("data") or {}).items()} == want
    assert folded(found) == found


@pytest.mark.parametrize(
    ("kind", "api", "wrap"),
    [
        ("Pod", "v1", lambda pod: {"spec": pod}),
        ("Deployment", "apps/v1", lambda pod: {"spec": {"template": {"spec": pod}}}),
        ("CronJob", "batch/v1", lambda pod: {"spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}}),
    ],
)
def test_of_an_env_name_given_twice_the_last_one_counts(kind: str, api: str, wrap: Any) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "A", "value": "3"}]
    found = desired(made(kind, api=api, **wrap({"containers": [{"name": "web", "env": env}, {"name": "side"}]})))
    (body,) = found.objects.values()
    assert body["spec"] == wrap({"containers": [{"name": "web", "env": env[1:]}, {"name": "side"}]})["spec"]
    assert [warning.partition(": ")[2] for warning in found.warnings] == [
        "container 'web': env A given more than once; the last counts"
    ]


def hook(value: str, name: str | None = "h", helm: bool = False, more: dict[str, str] | None = None) -> Object:
    key = "helm.sh/hook" if helm else HOOK
    return made("Job", name, "batch/v1", metadata={"annotations": {key: value, **(more or {})}})


@pytest.mark.covers("HOOK-01")
@pytest.mark.covers("HOOK-05")
def test_hooks_stand_apart_and_may_lack_a_name() -> None:
    unnamed = hook("PostSync", None)
    unnamed["metadata"]["generateName"] = "migrate-"
    found = desired(hook("PreSync"), unnamed, hook("Skip", "s"), hook("Bogus", "b"), hook("Skip,Sync", "both"))
    assert found.objects == {} and found.problems == ()
    assert [body["metadata"].get("name") for body in found.hooks] == ["h", None, "both"]
    assert [body["metadata"]["namespace"] for body in found.hooks] == ["store"] * 3
    assert marked(found.hooks[0], MARKS)
    assert found.skipped == {Key("batch", "Job", "store", "s"), Key("batch", "Job", "store", "b")}


@pytest.mark.parametrize(
    ("helm", "argo"),
    [
        ("pre-install", "PreSync"),
        ("pre-install,pre-upgrade", "PreSync"),
        ("post-install, post-upgrade", "PostSync"),
        ("pre-delete,post-delete", "PreDelete,PostDelete"),
        ("pre-upgrade,pre-rollback", "PreSync"),
        ("test", None),
        ("test-success", None),
        ("pre-rollback", None),
    ],
)
@pytest.mark.covers("HOOK-07")
def test_helms_hooks_run_as_argos_and_its_tests_never(helm: str, argo: str | None) -> None:
    found = desired(hook(helm, helm=True))
    assert found.objects == {}
    assert [body["metadata"]["annotations"][HOOK] for body in found.hooks] == ([argo] if argo else [])
    assert bool(found.skipped) is (argo is None)


@pytest.mark.covers("HOOK-07")
def test_helms_weight_and_delete_policy_are_translated() -> None:
    more = {"helm.sh/hook-weight": "-5", "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded"}
    (body,) = desired(hook("pre-install", helm=True, more=more)).hooks
    annotations = body["metadata"]["annotations"]
    assert annotations[SYNC_WAVE] == "-5"
    assert annotations[HOOK_DELETE_POLICY] == "BeforeHookCreation,HookSucceeded"
    (body,) = desired(hook("pre-install", helm=True, more=more | {SYNC_WAVE: "2"})).hooks
    assert body["metadata"]["annotations"][SYNC_WAVE] == "2"


@pytest.mark.covers("HOOK-07")
def test_argos_hook_wins_over_helms_and_crd_install_is_no_hook() -> None:
    (body,) = desired(hook("PostSync", more={"helm.sh/hook": "pre-install", "helm.sh/hook-weight": "3"})).hooks
    assert body["metadata"]["annotations"][HOOK] == "PostSync"
    assert SYNC_WAVE not in body["metadata"]["annotations"]
    assert len(desired(hook("crd-install", helm=True)).objects) == 1


@pytest.mark.covers("OBJ-19")
def test_declarations_go_to_our_own_control_plane() -> None:
    child = made("Application", "child", "argoproj.io/v1alpha1", metadata={"namespace": "argocd"}, spec={})
    project = made("AppProject", "team", "argoproj.io/v1alpha1")
    rollout = made("Rollout", "r", "argoproj.io/v1alpha1")
    found = desired(child, project, rollout)
    assert found.declarations == (child, project)
    assert list(found.objects) == [Key("argoproj.io", "Rollout", "store", "r")]


def test_the_given_objects_are_left_as_they_were() -> None:
    given_object = made("Secret", stringData={"a": "b"}, status={}, metadata={"creationTimestamp": None})
    before = repr(given_object)
    desired(given_object)
    assert repr(given_object) == before


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text(max_size=6)
    | st.sampled_from(["v1", "Secret", "List", "Pod"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["apiVersion", "kind", "metadata", "name", "items", "data", "spec", "template", "annotations"]
            )
            | st.sampled_from(
                ["containers", "env", "labels", HOOK, "helm.sh/hook", "volumeClaimTemplates", "jobTemplate"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(bodies=st.lists(anything, max_size=3))
def test_no_shape_of_document_breaks_the_others(bodies: list[Any]) -> None:
    found = desired(*bodies, made("ConfigMap", "survivor"))
    assert Key("", "ConfigMap", "store", "survivor") in found.objects


@pytest.mark.parametrize(
    "api,kind", [("v1", "Secret"), ("apps/v1", "Deployment"), ("v1", "Pod"), ("batch/v1", "CronJob")]
)
@given(fields=st.dictionaries(st.sampled_from(["spec", "data", "stringData"]), anything))
def test_no_content_of_a_known_kind_breaks_the_others(api: str, kind: str, fields: dict[str, Any]) -> None:
    found = desired(made(kind, "odd", api, **fields), made("ConfigMap", "survivor"))
    assert Key("", "ConfigMap", "store", "survivor") in found.objects
