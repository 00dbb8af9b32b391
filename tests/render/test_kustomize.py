"""The Kustomize in the real kubectl."""

from typing import Any

import pytest

from driftline.adapters.render.renderers import Renderers
from driftline.desired.tools import Tool
from driftline.model.application import KustomizeOptions
from driftline.model.errors import Permanent
from tests.kit.memory_tree import MemoryTree
from tests.kit.rendering import config_map, names, request

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1"}]}
"""
FILES = {
    "base/kustomization.yaml": "resources: [web.yaml]\n",
    "base/web.yaml": DEPLOYMENT,
    "app/kustomization.yaml": """
resources: [../base]
components: [../components/debug]
configMapGenerator: [{name: config, files: [settings.txt], options: {disableNameSuffixHash: true}}]
patches: [{path: patch.yaml}]
""",
    "app/settings.txt": "a=1\n",
    "app/patch.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 2}\n",
    "components/debug/kustomization.yaml": (
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [debug.yaml]\n"
    ),
    "components/debug/debug.yaml": config_map("debug"),
    "components/extra/kustomization.yaml": (
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [extra.yaml]\n"
    ),
    "components/extra/extra.yaml": config_map("extra"),
}


def deployment(renderers: Renderers, **options: Any) -> dict[str, Any]:
    """The Deployment of the app, rendered with options of the source."""
    found = renderers.render(request(MemoryTree(FILES), kustomize=KustomizeOptions(**options)))
    (body,) = (each for each in found.objects if each["kind"] == "Deployment")
    assert isinstance(body, dict)
    return body


@pytest.mark.covers("GEN-01")
def test_bases_components_generators_and_patches(renderers: Renderers) -> None:
    found = renderers.render(request(MemoryTree(FILES)))
    assert found.tool is Tool.KUSTOMIZE
    assert sorted(names(found)) == ["ConfigMap/config", "ConfigMap/debug", "Deployment/web"]
    assert deployment(renderers)["spec"]["replicas"] == 2


@pytest.mark.covers("OBJ-05")
@pytest.mark.covers("GEN-10")
@pytest.mark.covers("GEN-11")
def test_options_of_the_source(renderers: Renderers) -> None:
    body = deployment(
        renderers,
        name_prefix="a-",
        name_suffix="-z",
        images=("web=registry.example/web:$ARGOCD_APP_NAME",),
        replicas=(("web", 5),),
        common_labels={"team": "x"},
        common_annotations={"note": "$ARGOCD_APP_NAME"},
        namespace="elsewhere",
        patches=({"patch": "- {op: add, path: /spec/paused, value: true}", "target": {"kind": "Deployment"}},),
    )
    assert body["metadata"]["name"] == "a-web-z"
    assert body["metadata"]["namespace"] == "elsewhere"
    assert body["metadata"]["annotations"] == {"note": "$ARGOCD_APP_NAME"}
    assert body["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/web:shop"
    assert body["spec"]["replicas"] == 5 and body["spec"]["paused"] is True
    assert body["spec"]["selector"]["matchLabels"] == {"app": "web", "team": "x"}


@pytest.mark.covers("OBJ-05")
def test_labels_without_selector_and_components(renderers: Renderers) -> None:
    body = deployment(renderers, common_labels={"team": "x"}, label_without_selector=True)
    assert body["metadata"]["labels"] == {"team": "x"}
    assert body["spec"]["selector"]["matchLabels"] == {"app": "web"}
    assert body["spec"]["template"]["metadata"]["labels"] == {"app": "web"}
    body = deployment(renderers, common_labels={"team": "x"}, label_without_selector=True, label_include_templates=True)
    assert body["spec"]["template"]["metadata"]["labels"] == {"app": "web", "team": "x"}
    options = KustomizeOptions(components=("../components/extra", "../gone"), ignore_missing_components=True)
    found = renderers.render(request(MemoryTree(FILES), kustomize=options))
    assert "ConfigMap/extra" in names(found)
    options = KustomizeOptions(version="v5.0.0")
    found = renderers.render(request(MemoryTree(FILES), kustomize=options))
    assert found.warnings == (
        "source.kustomize.version: has no effect: the Kustomize in kubectl is used and inflates no charts",
    )


def refusal(renderers: Renderers, files: dict[str, str], links: dict[str, str] | None = None) -> str:
    with pytest.raises(Permanent) as caught:
        renderers.render(request(MemoryTree(files, links or {})))
    return caught.value.message


def test_kustomizes_own_errors_begin_with_the_path_and_show_no_directory_of_ours(renderers: Renderers) -> None:
    message = refusal(renderers, {"app/kustomization.yaml": "resources: [a.yaml]", "app/a.yaml": "kind: X\n"})
    assert message.startswith("app: ")
    assert "missing metadata.name" in message or "missing Resource metadata" in message or "apiVersion" in message
    assert "/tmp" not in message and "driftline-render" not in message and len(message) < 800
    message = refusal(renderers, {"app/kustomization.yaml": "nonsense: 1\n"})
    assert 'unknown field "nonsense"' in message


def test_patches_are_not_repeated_in_errors(renderers: Renderers) -> None:
    patch = {"patch": "[{op: add, path: /spec/x, value: hunter2}]", "target": {"kind": "Deployment"}}
    with pytest.raises(Permanent) as caught:
        deployment(renderers, patches=(patch,))
    assert "unable to parse SM or JSON patch" in caught.value.message and "hunter2" not in caught.value.message


def test_circles_outside_files_and_links_are_refused(renderers: Renderers) -> None:
    circle = {"app/kustomization.yaml": "resources: [../b]", "b/kustomization.yaml": "resources: [../app]"}
    assert "cycle detected" in refusal(renderers, circle)
    above = {"app/kustomization.yaml": "resources: [../x.yaml]", "x.yaml": config_map("x")}
    message = refusal(renderers, above)
    assert "is not in or below" in message and "/tmp" not in message
    escape = {"app/kustomization.yaml": "resources: [a.yaml]"}
    message = refusal(renderers, escape, {"app/a.yaml": "/proc/self/environ"})
    assert message == "app/a.yaml: this symbolic link leads out of the repository"


def test_a_link_inside_the_repository_works(renderers: Renderers) -> None:
    tree = MemoryTree(FILES | {"app2/kustomization.yaml": "resources: [../now]"}, {"now": "base"})
    assert names(renderers.render(request(tree, "app2"))) == ["Deployment/web"]


def test_no_plugin_or_function_runs(renderers: Renderers, tmp_path: Any) -> None:
    marker = tmp_path / "ran"
    function = f"""
apiVersion: v1
kind: ConfigMap
metadata:
  name: evil
  annotations: {{config.kubernetes.io/function: "exec: {{path: /usr/bin/touch, args: [{marker}]}}"}}
"""
    files = {"app/kustomization.yaml": "generators: [g.yaml]", "app/g.yaml": function}
    refusal(renderers, files)
    assert not marker.exists()
