"""Argo CD's Application YAML, as teams have it today, becomes our model; what is wrong is named by its field."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.formats.application import application, applications_in, declared, normalised
from driftline.formats.durations import duration
from driftline.formats.yaml import load_documents
from driftline.model.application import (
    Automated,
    Destination,
    DirectoryOptions,
    FileParameter,
    HelmParameter,
    IgnoreRule,
    JsonnetVariable,
    Retry,
)
from driftline.model.errors import Permanent
from driftline.model.objects import Key, Object

FULL = """
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: shop
  namespace: argocd
  labels: {team: web}
  annotations: {notifications.argoproj.io/subscribe.on-sync-failed.slack: alerts}
  finalizers: [resources-finalizer.argocd.argoproj.io]
spec:
  project: web
  source:
    repoURL: https://git.example/shop.git
    path: deploy
    targetRevision: main
    helm:
      releaseName: shop
      valueFiles: [values.yaml, $values/prod.yaml]
      values: "a: 1"
      valuesObject: {b: {c: 2}}
      parameters:
      - {name: image.tag, value: "1.4"}
      - {name: port, value: "80", forceString: true}
      fileParameters: [{name: config, path: files/config.json}]
      kubeVersion: "1.37"
      apiVersions: [example.com/v1]
      skipCrds: true
      ignoreMissingValueFiles: true
  destination: {server: "https://kubernetes.default.svc", namespace: shop}
  syncPolicy:
    automated: {prune: true, selfHeal: true}
    syncOptions: [CreateNamespace=true, PruneLast=true]
    managedNamespaceMetadata: {labels: {tier: front}, annotations: {owner: web}}
    retry: {limit: 3, backoff: {duration: 10s, factor: 3, maxDuration: 1h30m}}
  ignoreDifferences:
  - {group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}
  info: [{name: docs, value: "https://docs.example"}]
  revisionHistoryLimit: 3
operation: {sync: {}}
status: {sync: {status: Synced}}
"""


def document(text: str = FULL) -> Object:
    (found,) = load_documents(text.encode(), "app.yaml")
    assert isinstance(found, dict)
    return found


def changed(path: str, value: Any) -> Object:
    """The full declaration with one field set, or removed when `value` is None."""
    found = document()
    *parents, last = path.split(".")
    place: Any = found
    for name in parents:
        place = place[int(name)] if name.isdecimal() else place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return found


def refusal(path: str, value: Any) -> str:
    with pytest.raises(Permanent) as caught:
        application(changed(path, value))
    return caught.value.message


@pytest.mark.covers("OBJ-01")
@pytest.mark.covers("OBJ-04")
@pytest.mark.covers("OBJ-08")
def test_an_application_of_today_is_read_as_it_is() -> None:
    app = application(document())
    assert (app.name, app.project, app.history_limit, app.warnings) == ("shop", "web", 3, ())
    assert app.destination == Destination(server="https://kubernetes.default.svc", namespace="shop")
    assert app.automated == Automated(prune=True, self_heal=True)
    assert app.retry == Retry(3, timedelta(seconds=10), 3, timedelta(minutes=90))
    assert app.enabled("CreateNamespace")
    assert app.managed_namespace_labels == {"tier": "front"}
    assert app.ignore == (IgnoreRule("Deployment", "apps", json_pointers=("/spec/replicas",)),)
    assert app.info == (("docs", "https://docs.example"),)
    assert app.finalizers == ("resources-finalizer.argocd.argoproj.io",)
    (source,) = app.sources
    assert (source.repo_url, source.path, source.target_revision) == ("https://git.example/shop.git", "deploy", "main")
    helm = source.helm
    assert helm is not None
    assert helm.value_files == ("values.yaml", "$values/prod.yaml")
    assert helm.values_object == {"b": {"c": 2}}
    assert helm.parameters == (HelmParameter("image.tag", "1.4"), HelmParameter("port", "80", force_string=True))
    assert helm.file_parameters == (FileParameter("config", "files/config.json"),)
    assert (helm.skip_crds, helm.ignore_missing_value_files, helm.kube_version) == (True, True, "1.37")
    assert app.document["status"] == {"sync": {"status": "Synced"}}, "the declaration is kept as given"


@pytest.mark.covers("OBJ-05")
def test_kustomize_options_are_read() -> None:
    found = changed("spec.source.helm", None)
    found["spec"]["source"]["kustomize"] = {
        "namePrefix": "a-",
        "images": ["nginx=nginx:1.27"],
        "replicas": [{"name": "web", "count": 2}, {"name": "db", "count": "3"}],
        "commonLabels": {"a": "b"},
        "labelWithoutSelector": True,
        "patches": [{"patch": "- op: remove", "target": {"kind": "Service"}, "options": {"allowNameChange": True}}],
        "components": ["../c"],
    }
    options = application(found).sources[0].kustomize
    assert options is not None
    assert options.replicas == (("web", 2), ("db", 3))
    assert options.images == ("nginx=nginx:1.27",)
    assert options.common_labels == {"a": "b"} and options.label_without_selector
    assert options.patches[0]["target"] == {"kind": "Service"}


@pytest.mark.covers("OBJ-06")
def test_directory_options_are_read() -> None:
    found = changed("spec.source.helm", None)
    found["spec"]["source"]["directory"] = {
        "recurse": True,
        "include": "*.yaml",
        "jsonnet": {"extVars": [{"name": "a", "value": "1", "code": True}], "libs": ["lib"]},
    }
    assert application(found).sources[0].directory == DirectoryOptions(
        recurse=True, include="*.yaml", ext_vars=(JsonnetVariable("a", "1", code=True),), libs=("lib",)
    )


@pytest.mark.covers("GEN-15")
@pytest.mark.covers("GEN-16")
def test_sources_win_over_source_and_a_ref_needs_no_path() -> None:
    chart = {"repoURL": "https://charts.example", "chart": "web", "helm": {"valueFiles": ["$values/web.yaml"]}}
    found = changed("spec.sources", [chart, {"repoURL": "https://git.example/v.git", "ref": "values"}])
    assert [(source.chart, source.ref) for source in application(found).sources] == [("web", ""), ("", "values")]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("metadata.name", "Shop_1", "metadata.name: want lower-case letters, digits, '-' and '.'"),
        ("metadata.name", "a" * 254, "metadata.name: want lower-case"),
        ("metadata.labels", {"a": 1}, "metadata.labels.a: want a text, got a whole number: put it in quotes"),
        ("spec.destination", None, "spec.destination: is missing"),
        ("spec.destination", {"server": "https://a", "name": "b"}, "spec.destination: server and name are both set"),
        ("spec.destination", {"namespace": "x"}, "spec.destination: names no cluster"),
        ("spec.destination.namespace", "No_Such", "spec.destination.namespace: 'No_Such' is no namespace name"),
        ("spec.source", None, "spec.source: is missing"),
        ("spec.source.repoURL", None, "spec.source.repoURL: is missing"),
        ("spec.source.repoURL", "--upload-pack=touch /tmp/x", "spec.source.repoURL: is no URL"),
        ("spec.source.repoURL", "ssh://-oProxyCommand=x/y", "spec.source.repoURL: is no URL"),
        ("spec.source.repoURL", "https://git.example/a\nb", "spec.source.repoURL: is no URL"),
        ("spec.source.repoURL", "ext::sh -c id", "spec.source.repoURL: is no URL"),
        ("spec.source.repoURL", "ext::id", "spec.source.repoURL: names a remote helper"),
        ("spec.source.targetRevision", "--upload-pack=x", "spec.source.targetRevision: is no branch"),
        ("spec.source.targetRevision", "../../etc", "spec.source.targetRevision: is no branch"),
        ("spec.source.targetRevision", 1.5, "spec.source.targetRevision: want a text, got a number: put it in quotes"),
        ("spec.source.path", "/etc", "spec.source.path: /etc: app path is absolute"),
        ("spec.source.path", "a/../../b", "spec.source.path: a/../../b: app path leaves the repository"),
        ("spec.source.path", "a\0b", "spec.source.path: must not hold a NUL character"),
        ("spec.source.path", None, "spec.source.path: is missing"),
        ("spec.source.chart", "web", "spec.source.chart: path and chart are both set"),
        ("spec.source.kustomize", {"namePrefix": "a"}, "spec.source: multiple application sources defined: Helm,Kust"),
        ("spec.source.helm.releaseName", "a" * 54, "spec.source.helm.releaseName: is longer than Helm's limit of 53"),
        ("spec.source.helm.parameters.0.value", 1, "spec.source.helm.parameters[0].value: want a text, got a whole"),
        ("spec.source.helm.valueFiles", "x", "spec.source.helm.valueFiles: want a list, got a text"),
        ("spec.source.helm.valueFiles", [1], "spec.source.helm.valueFiles[0]: want a text"),
        ("spec.syncPolicy.automated.prune", "yes", "spec.syncPolicy.automated.prune: want true or false, got a text"),
        ("spec.syncPolicy.retry.backoff.duration", "5 parsecs", "retry.backoff.duration: '5 parsecs' is no duration"),
        ("spec.syncPolicy.retry.backoff.maxDuration", "-1s", "retry.backoff.maxDuration: must not be negative"),
        ("spec.syncPolicy.retry.backoff.duration", "9999999h", "duration: '9999999h' is longer than ten years"),
        ("spec.syncPolicy.retry.limit", True, "spec.syncPolicy.retry.limit: want a whole number"),
        ("spec.ignoreDifferences.0.kind", None, "spec.ignoreDifferences[0].kind: is missing"),
        ("spec.ignoreDifferences.0.jsonPointers", ["spec"], "jsonPointers[0]: 'spec' is no JSON pointer"),
        ("spec.revisionHistoryLimit", -1, "spec.revisionHistoryLimit: want 0 or more"),
        ("spec", [], "spec: want a map, got a list"),
        ("kind", "Applicaton", "want apiVersion argoproj.io/v1alpha1 and kind Application"),
    ],
)
@pytest.mark.covers("OBJ-02")
@pytest.mark.covers("OBJ-03")
def test_what_is_wrong_is_named_by_its_field(path: str, value: Any, message: str) -> None:
    found = refusal(path, value)
    assert found.startswith("Application ") and message in found


def test_sources_need_distinct_names_and_refs() -> None:
    one = {"repoURL": "https://git.example/a", "path": "a", "name": "x"}
    assert "the name 'x' is given twice" in refusal("spec.sources", [one, one])
    ref = {"repoURL": "https://git.example/a", "ref": "x!"}
    assert "spec.sources[0].ref: 'x!' may hold letters" in refusal("spec.sources", [ref])


@pytest.mark.covers("OBJ-07")
def test_a_plugins_block_is_kept_as_it_is_and_what_is_new_in_it_too() -> None:
    block = {
        "name": "tanka",
        "env": [{"name": "A", "value": "1"}],
        "parameters": [{"name": "list", "array": ["x"]}, {"name": "table", "map": {"y": "z"}}],
        "brandNew": {"a": 1},
    }
    app = application(changed("spec.source", {"repoURL": "https://git.example/a", "path": "a", "plugin": block}))
    assert app.sources[0].plugin == block and app.document["spec"]["source"]["plugin"] == block


def test_what_is_not_known_is_kept_and_warned_of() -> None:
    found = changed("spec.source.helm.futureField", {"a": 1})
    found["spec"]["syncPolicy"]["syncOptions"] = ["PruneLast=True", "Bogus=1", "Nonsense"]
    app = application(found)
    assert app.document["spec"]["source"]["helm"]["futureField"] == {"a": 1}
    assert app.warnings == (
        "spec.source.helm.futureField: unknown field: kept, but it has no effect",
        "spec.syncPolicy.syncOptions[0]: 'PruneLast=True' has no effect: PruneLast wants one of false, true",
        "spec.syncPolicy.syncOptions[1]: 'Bogus=1' is no sync option that is known: it has no effect",
        "spec.syncPolicy.syncOptions[2]: 'Nonsense' is no sync option that is known: it has no effect",
        "spec.syncPolicy.managedNamespaceMetadata: has no effect without the sync option CreateNamespace=true",
    )


def test_automated_can_be_switched_off_and_an_empty_block_switches_it_on() -> None:
    assert application(changed("spec.syncPolicy.automated.enabled", False)).automated is None
    assert application(changed("spec.syncPolicy.automated", {})).automated == Automated()


@pytest.mark.covers("OBJ-20")
@pytest.mark.covers("OBJ-21")
def test_the_same_spec_again_changes_nothing() -> None:
    first = document()
    again = document()
    again["metadata"] |= {
        "uid": "1",
        "resourceVersion": "7",
        "managedFields": [{}],
        "annotations": again["metadata"]["annotations"] | {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
    }
    again["spec"]["source"]["kustomize"] = {"namePrefix": "", "images": []}
    again["spec"]["source"]["directory"] = {"jsonnet": {}, "recurse": False}
    again["status"] = {"sync": {"status": "OutOfSync"}}
    again["spec"]["sources"] = []
    assert normalised(first) == normalised(again) == normalised(normalised(again))
    assert application(again).sources[0].kustomize is None
    assert normalised(changed("spec.source.path", "other")) != normalised(first)


@pytest.mark.covers("OBJ-21")
def test_no_project_is_the_default_project() -> None:
    assert application(changed("spec.project", "")).project == "default"
    assert application(changed("spec.project", None)).project == "default"


@pytest.mark.covers("OBJ-19")
def test_one_broken_child_does_not_hide_its_siblings() -> None:
    broken = changed("spec.destination", None)
    broken["metadata"]["name"] = "broken"
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    lookalike = {"apiVersion": "app.k8s.io/v1beta1", "kind": "Application", "metadata": {"name": "y"}}
    apps, problems = applications_in([document(), broken, other, lookalike])
    assert [app.name for app in apps] == ["shop"]
    assert [(problem.key, problem.message) for problem in problems] == [
        (
            Key("argoproj.io", "Application", "argocd", "broken"),
            "Application broken: spec.destination: is missing: name a cluster by server or name",
        )
    ]
    assert declared(document()) and not declared(lookalike) and not declared(other)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("30s", 30), ("1h30m", 5400), ("1.5m", 90), ("500ms", 0.5), (".5s", 0.5), ("-5s", -5), ("0", 0)],
)
def test_durations_are_gos(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "s", "5 s", "1d", "1h-5m", "٣s", "1" * 40, "h5"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        duration(text)


scalars: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({}) | st.just([{}])
)


@given(path=st.sampled_from([
    "metadata", "metadata.name", "metadata.annotations", "spec", "spec.source", "spec.sources", "spec.destination",
    "spec.source.helm", "spec.source.helm.parameters", "spec.source.helm.valuesObject", "spec.source.kustomize",
    "spec.source.directory", "spec.source.plugin", "spec.syncPolicy", "spec.syncPolicy.automated",
    "spec.syncPolicy.retry", "spec.syncPolicy.retry.backoff", "spec.syncPolicy.syncOptions",
    "spec.syncPolicy.managedNamespaceMetadata", "spec.ignoreDifferences", "spec.info",
]), value=scalars | st.lists(scalars) | st.dictionaries(st.text(max_size=4), scalars))  # fmt: skip
def test_a_field_of_any_shape_is_read_or_named(path: str, value: Any) -> None:
    message = "Application shop: "
    found = changed(path, "x")
    *parents, last = path.split(".")
    place: Any = found
    for name in parents:
        place = place[name]
    place[last] = value
    try:
        application(found)
    except Permanent as error:
        message = error.message
    assert message.startswith("Application ")
