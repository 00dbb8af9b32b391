"""The real Helm."""

import json
from typing import Any

import pytest

from driftline.adapters.render.renderers import Renderers
from driftline.desired.finalise import finalise
from driftline.desired.hooks import HOOK
from driftline.desired.tools import Tool
from driftline.model.application import FileParameter, HelmOptions, HelmParameter
from driftline.model.cluster import Kinds
from driftline.model.errors import Permanent
from driftline.model.marks import Marks
from tests.kit.memory_tree import MemoryTree
from tests.kit.rendering import config_map, names, request

CHART = "apiVersion: v2\nname: web\nversion: 1.0.0\n"
SHOW = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  release: {{ .Release.Name }}/{{ .Release.Namespace }}
  kube: {{ .Capabilities.KubeVersion.Version | quote }}
  has: {{ .Capabilities.APIVersions.Has "example.com/v1" | quote }}
  values: {{ toJson .Values | quote }}
"""
CRD = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: xs.example.com}\n"
FILES = {
    "app/Chart.yaml": CHART,
    "app/values.yaml": "level: chart\nkeep: 1\n",
    "app/prod.yaml": "level: file\n",
    "app/templates/show.yaml": SHOW,
    "app/crds/x.yaml": CRD,
    "app/templates/tests/test.yaml": """
apiVersion: v1
kind: Pod
metadata: {name: "test-{{ randAlphaNum 5 | lower }}", annotations: {helm.sh/hook: test}}
""",
    "app/templates/hook.yaml": """
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-weight: "-1"}
""",
    "shared/cert.pem": "PEM,1\n",
}


def shown(renderers: Renderers, files: dict[str, str] | None = None, **options: Any) -> dict[str, str]:
    """The data of the chart's ConfigMap."""
    references = options.pop("references", {})
    found = renderers.render(request(MemoryTree(files or FILES), references=references, helm=HelmOptions(**options)))
    (body,) = (each for each in found.objects if each["kind"] == "ConfigMap")
    data = body["data"]
    assert isinstance(data, dict)
    return data


def values(renderers: Renderers, **options: Any) -> Any:
    return json.loads(shown(renderers, **options)["values"])


@pytest.mark.covers("GEN-06")
def test_a_chart_with_its_release_its_cluster_and_its_crds(renderers: Renderers) -> None:
    found = renderers.render(request(MemoryTree(FILES)))
    assert found.tool is Tool.HELM
    assert "CustomResourceDefinition/xs.example.com" in names(found)
    assert found.origins[names(found).index("ConfigMap/shop")] == "web/templates/show.yaml"
    data = shown(renderers)
    assert data["release"] == "shop/store"
    assert data["kube"] == "v1.37.0"
    assert data["has"] == "false"
    data = shown(
        renderers, release_name="other", namespace="ns", kube_version="1.30.0", api_versions=("example.com/v1",)
    )
    assert (data["release"], data["kube"], data["has"]) == ("other/ns", "v1.30.0", "true")
    skipped = renderers.render(request(MemoryTree(FILES), helm=HelmOptions(skip_crds=True, skip_tests=True)))
    assert sorted(names(skipped)) == ["ConfigMap/shop", "Job/migrate"]


@pytest.mark.covers("GEN-07")
@pytest.mark.covers("GEN-11")
def test_which_value_wins(renderers: Renderers) -> None:
    assert values(renderers) == {"level": "chart", "keep": 1}
    assert values(renderers, value_files=("prod.yaml",))["level"] == "file"
    assert values(renderers, value_files=("prod.yaml",), values="level: text")["level"] == "text"
    both = {"value_files": ("prod.yaml",), "values": "level: text\nother: 1", "values_object": {"level": "object"}}
    assert values(renderers, **both) == {"level": "object", "keep": 1}
    parameters = (HelmParameter("level", "1"), HelmParameter("n.text", "1", True), HelmParameter("csv", "a,b"))
    assert values(renderers, **both, parameters=parameters) == {
        "level": 1,
        "keep": 1,
        "n": {"text": "1"},
        "csv": "a,b",
    }
    environment = (HelmParameter("level", "$ARGOCD_APP_NAME-$KUBE_VERSION"),)
    assert values(renderers, parameters=environment)["level"] == "shop-1.37.0"
    files = (FileParameter("cert", "/shared/cert.pem"),)
    assert values(renderers, file_parameters=files)["cert"] == "PEM,1\n"


@pytest.mark.covers("GEN-08")
@pytest.mark.covers("GEN-16")
def test_values_of_another_repository(renderers: Renderers) -> None:
    other = MemoryTree({"env/prod.yaml": "level: reference\n"})
    assert values(renderers, references={"values": other}, value_files=("$values/env/*.yaml",))["level"] == "reference"


@pytest.mark.covers("HOOK-07")
def test_tests_never_run_and_hooks_run_as_argos(renderers: Renderers) -> None:
    asked = request(MemoryTree(FILES))
    found = renderers.render(asked)
    desired = finalise(found.objects, asked.application, Kinds({}), Marks("a" * 26, "shop"), found.origins)
    assert [body["metadata"]["name"] for body in desired.hooks] == ["migrate"]
    assert desired.hooks[0]["metadata"]["annotations"][HOOK] == "PreSync"
    assert {key.kind for key in desired.objects} == {"ConfigMap", "CustomResourceDefinition"}


def with_dependencies(*rows: str) -> dict[str, str]:
    listed = "".join(f"- {row}\n" for row in rows)
    return FILES | {
        "app/Chart.yaml": f"{CHART}dependencies:\n{listed}",
        "common/Chart.yaml": (
            "apiVersion: v2\nname: common\nversion: 1.2.3\n"
            "dependencies: [{name: base, version: 0.1.0, repository: 'file://../base'}]\n"
        ),
        "common/templates/c.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: common}\n",
        "base/Chart.yaml": "apiVersion: v2\nname: base\nversion: 0.1.0\n",
        "base/templates/b.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: {{ .Values.name }}}\n",
        "base/values.yaml": "name: base\n",
    }


def test_local_dependencies_are_built_first_and_vendored_ones_work(renderers: Renderers) -> None:
    row = "{name: common, version: ^1.0.0, repository: 'file://../common'}"
    found = renderers.render(request(MemoryTree(with_dependencies(row))))
    assert {"Service/common", "Service/base"} <= set(names(found))
    vendored = {f"app/charts/{path}": text for path, text in with_dependencies().items() if path.startswith("base/")}
    files = (
        FILES
        | vendored
        | {"app/Chart.yaml": f"{CHART}dependencies: [{{name: base, version: 0.1.0, repository: 'https://x'}}]"}
    )
    found = renderers.render(request(MemoryTree(files), helm=HelmOptions(values="base: {name: renamed}")))
    assert "Service/renamed" in names(found)


def refusal(renderers: Renderers, files: dict[str, str], **options: Any) -> str:
    with pytest.raises(Permanent) as caught:
        renderers.render(request(MemoryTree(files), helm=HelmOptions(**options)))
    message = caught.value.message
    assert "/tmp" not in message and "driftline-render" not in message and len(message) < 900
    return message


def test_a_missing_dependency_is_named_with_the_way_out(renderers: Renderers) -> None:
    files = with_dependencies("{name: redis, version: 18.x, repository: 'https://charts.example'}")
    assert refusal(renderers, files) == (
        "app/Chart.yaml: dependency redis is not in charts/, and nothing is fetched while rendering; "
        "run `helm dependency build` and commit charts/"
    )


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"app/templates/bad.yaml": "{{ .Values.a.b.c }}"}, {}, "web/templates/bad.yaml:1:"),
        ({"app/templates/bad.yaml": "{{ nope }}"}, {}, '(web/templates/bad.yaml:1): function "nope" not defined'),
        ({"app/templates/bad.yaml": "a: b: c\nkind: X"}, {}, "web/templates/bad.yaml"),
        ({"app/templates/bad.yaml": '{{ required "set the host" .Values.host }}'}, {}, "set the host"),
        ({"app/values.yaml": "a: b: c"}, {}, "values.yaml"),
        ({"app/prod.yaml": "a: b: c"}, {"value_files": ("prod.yaml",)}, "app/prod.yaml"),
        ({}, {"values": "a: b: c"}, "source.helm.values.yaml"),
        ({}, {"release_name": "Not_Valid"}, "release name"),
        ({}, {"kube_version": "x"}, "kube"),
        ({"app/Chart.yaml": CHART + "kubeVersion: '>=2.0.0'\n"}, {}, "which is incompatible with Kubernetes v1.37.0"),
        ({"app/values.schema.json": '{"required": ["host"]}'}, {}, "host"),
    ],
)
def test_helms_errors_name_template_or_value(
    renderers: Renderers, changes: dict[str, str], options: dict[str, Any], message: str
) -> None:
    found = refusal(renderers, FILES | changes, **options)
    assert found.startswith("app: ") and message in found


def test_a_schema_can_be_left_unchecked(renderers: Renderers) -> None:
    files = FILES | {"app/values.schema.json": '{"required": ["host"]}'}
    assert shown(renderers, files, skip_schema_validation=True)


def test_parameters_are_not_repeated_in_errors(renderers: Renderers) -> None:
    bad = (HelmParameter("a[x]", "hunter2-secret"),)
    assert "hunter2" not in refusal(renderers, FILES, parameters=bad)


@pytest.mark.parametrize(
    "template",
    [
        '{{ .Files.Get "../../../../../etc/hostname" }}',
        '{{ .Files.Get "/etc/hostname" }}',
        '{{ range $path, $_ := .Files.Glob "/etc/*" }}{{ $path }}{{ end }}',
        '{{ lookup "v1" "Secret" "kube-system" "" | toJson }}',
        '{{ getHostByName "localhost" }}',
    ],
)
def test_templates_see_neither_files_nor_cluster_nor_network(renderers: Renderers, template: str) -> None:
    files = FILES | {
        "app/templates/peek.yaml": config_map("peek", found="'{{ with (include \"peek\" .) }}{{ . }}{{ end }}'")
    }
    files |= {"app/templates/_peek.tpl": '{{ define "peek" }}' + template + "{{ end }}"}
    found = renderers.render(request(MemoryTree(files)))
    (body,) = (each for each in found.objects if each["metadata"]["name"] == "peek")
    assert body["data"]["found"] in ("", "{}")


@pytest.mark.parametrize("template", ['{{ env "HOME" }}', '{{ expandenv "$HOME" }}'])
def test_templates_cannot_ask_for_the_environment(renderers: Renderers, template: str) -> None:
    assert "not defined" in refusal(renderers, FILES | {"app/templates/peek.yaml": template})


def test_random_templates_are_flagged(renderers: Renderers) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: '{{ randAlphaNum 8 }}'}\n"
    found = renderers.render(request(MemoryTree(FILES | {"app/templates/secret.yaml": secret})))
    assert found.warnings == (
        "app/templates/secret.yaml: uses randAlphaNum: what it makes is another with each new render",
    )


def test_output_of_any_shape_is_refused_by_name(renderers: Renderers) -> None:
    files = FILES | {"app/templates/twice.yaml": config_map("a") + "kind: Again\n"}
    message = refusal(renderers, files)
    assert "kind" in message
