"""What Helm reads of a repository and what it is told, worked out without running it."""

import json
from typing import Any

import pytest

from driftline.desired.chart import ChartRender, escaped
from driftline.desired.environment import build_environment
from driftline.desired.lookup import Lookup
from driftline.desired.material import Material
from driftline.model.application import Application, Destination, FileParameter, HelmOptions, HelmParameter, Source
from driftline.model.errors import Permanent
from tests.kit.memory_tree import MemoryTree

FILES = {
    "web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "web/values.yaml": "",
    "web/prod.yaml": "",
    "web/envs/b.yaml": "",
    "web/envs/a.yaml": "",
    "web/envs/sub/c.yaml": "",
    "shared/values.yaml": "",
    "store.yaml": "",
}
SHOP = Application("shop", Destination(name="in-cluster", namespace="store"), (Source("https://git.example/a", "web"),))


def chart(files: dict[str, str] | None = None, links: dict[str, str] | None = None, **options: Any) -> ChartRender:
    tree = MemoryTree(files or FILES, links or {})
    own = Material(Lookup(tree))
    values = Material(Lookup(MemoryTree({"prod/web.yaml": "", "prod/x.yaml": "", "files/cert.pem": ""})))
    directory = own.lookup.find("web")
    assert directory is not None
    environment = build_environment(SHOP, SHOP.sources[0], "0" * 40, "1.37", ())
    return ChartRender(SHOP, HelmOptions(**options), environment, own, {"values": values}, directory)


def arguments(**options: Any) -> str:
    """The command line as one text, without what is always there."""
    found = " ".join(chart(**options).arguments("1.37.0", ("v1", "apps/v1")))
    return found.removeprefix("repo/web --name-template shop --namespace store --kube-version 1.37.0 ").removesuffix(
        "--api-versions v1 --api-versions apps/v1 --include-crds"
    ).strip()  # fmt: skip


def refusal(**options: Any) -> str:
    with pytest.raises(Permanent) as caught:
        chart(**options).arguments("", ())
    return caught.value.message


@pytest.mark.covers("OBJ-04")
@pytest.mark.covers("GEN-06")
def test_the_command_line() -> None:
    assert " ".join(chart().arguments("1.37.0", ("v1",))) == (
        "repo/web --name-template shop --namespace store --kube-version 1.37.0 --api-versions v1 --include-crds"
    )
    options: dict[str, Any] = {
        "release_name": "r",
        "namespace": "n",
        "kube_version": "1.30",
        "api_versions": ("a/v1",),
        "skip_crds": True,
        "skip_tests": True,
        "skip_schema_validation": True,
    }
    assert " ".join(chart(**options).arguments("1.37.0", ("v1",))) == (
        "repo/web --name-template r --namespace n --kube-version 1.30 --api-versions a/v1"
        " --skip-tests --skip-schema-validation"
    )


@pytest.mark.covers("GEN-07")
def test_values_in_their_order_of_precedence() -> None:
    found = chart(
        value_files=("prod.yaml", "values.yaml"),
        values="a: 1",
        values_object={"a": 2},
        parameters=(HelmParameter("tag", "$ARGOCD_APP_NAME"), HelmParameter("list", "a,b", force_string=True)),
        file_parameters=(FileParameter("cert", "$values/files/cert.pem"),),
    )
    assert " ".join(found.arguments("", ())) == (
        "repo/web --name-template shop --namespace store --values repo/web/prod.yaml --values repo/web/values.yaml"
        " --values source.helm.values.yaml --set tag=shop --set-string list=a\\,b"
        " --set-file cert=refs/values/files/cert.pem --include-crds"
    )
    assert json.loads(found.values or b"") == {"a": 2}
    assert set(found.references["values"].files) == {"files/cert.pem"}
    assert chart(values="a: 1").values == b"a: 1"
    assert chart().values is None


@pytest.mark.parametrize(
    ("given", "want"),
    [("a,b", "a\\,b"), ("a\\,b", "a\\,b"), ("{a,b}", "{a,b}"), ("a", "a"), (",", "\\,"), ("", "")],
)
@pytest.mark.covers("GEN-07")
def test_commas_do_not_start_another_parameter(given: str, want: str) -> None:
    assert escaped(given) == want


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("prod.yaml", ["repo/web/prod.yaml"]),
        ("./prod.yaml", ["repo/web/prod.yaml"]),
        ("../shared/values.yaml", ["repo/shared/values.yaml"]),
        ("/shared/values.yaml", ["repo/shared/values.yaml"]),
        ("//shared/values.yaml", ["repo/shared/values.yaml"]),
        ("/$ARGOCD_APP_NAMESPACE.yaml", ["repo/store.yaml"]),
        ("$values/prod/web.yaml", ["refs/values/prod/web.yaml"]),
        ("$values/prod/*.yaml", ["refs/values/prod/web.yaml", "refs/values/prod/x.yaml"]),
        ("envs/*.yaml", ["repo/web/envs/a.yaml", "repo/web/envs/b.yaml"]),
        ("envs/**/*.yaml", ["repo/web/envs/a.yaml", "repo/web/envs/b.yaml", "repo/web/envs/sub/c.yaml"]),
        ("{prod,values}.yaml", ["repo/web/prod.yaml", "repo/web/values.yaml"]),
    ],
)
@pytest.mark.covers("GEN-08")
def test_where_value_files_may_lie(text: str, files: list[str]) -> None:
    assert arguments(value_files=(text,)) == " ".join(f"--values {file}" for file in files)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gone.yaml", "source.helm.valueFiles[0]: gone.yaml: no such file in commit c0ffee000000"),
        ("envs", "source.helm.valueFiles[0]: envs: is no file"),
        ("*.txt", "source.helm.valueFiles[0]: *.txt: fits no file"),
        ("../../x.yaml", "source.helm.valueFiles[0]: ../../x.yaml: leads out of the repository"),
        ("a/../../../b", "source.helm.valueFiles[0]: a/../../../b: leads out of the repository"),
        ("/etc/passwd", "source.helm.valueFiles[0]: /etc/passwd: no such file"),
        ("%2e%2e/x", "source.helm.valueFiles[0]: %2e%2e/x: no such file"),
        ("file:///etc/passwd", "source.helm.valueFiles[0]: file URLs are not fetched while rendering"),
        ("https://u:pw@evil.example/v.yaml", "source.helm.valueFiles[0]: https URLs are not fetched while rendering"),
        ("$vals/prod.yaml", "source.helm.valueFiles[0]: $vals/prod.yaml: no source of this application has ref: vals"),
        ("$values/../../x", "source.helm.valueFiles[0]: $values/../../x: leads out of the repository"),
        ("$values/gone.yaml", "source.helm.valueFiles[0]: $values/gone.yaml: no such file"),
        ("a\0b", "source.helm.valueFiles[0]: 'a\\x00b' is no path"),
        ("", "source.helm.valueFiles[0]: '' is no path"),
    ],
)
@pytest.mark.covers("GEN-08")
def test_a_value_file_that_cannot_be_is_named_by_its_field(text: str, message: str) -> None:
    found = refusal(value_files=(text,))
    assert found.startswith(message)
    assert "pw" not in found


@pytest.mark.covers("GEN-08")
def test_missing_value_files_may_be_allowed_and_are_then_waited_for() -> None:
    found = chart(value_files=("gone.yaml", "no/*.yaml", "prod.yaml"), ignore_missing_value_files=True)
    assert "--values repo/web/prod.yaml" in " ".join(found.arguments("", ()))
    assert {"web/gone.yaml", "web/no"} <= found.own.absent
    assert "gone.yaml: no such file" in refusal(
        file_parameters=(FileParameter("a", "gone.yaml"),), ignore_missing_value_files=True
    )


def test_links_in_and_beside_a_chart_stay_inside() -> None:
    for links in ({"web/x": "/proc/self/environ"}, {"web/prod2.yaml": "../../x"}, {"web/d": "../../.."}):
        assert "this symbolic link leads out of the repository" in refusal(links=links)
    assert "leads to a directory that holds it" in refusal(links={"web/charts": ".."})
    found = chart(links={"web/extra": "../shared", "web/again": "./extra"})
    found.arguments("", ())
    assert found.own.links == {"web/extra": "shared", "web/again": "shared"}
    assert found.own.directories.keys() == {"web", "shared"}


def dependent(*rows: str) -> dict[str, str]:
    listed = "".join(f"- {row}\n" for row in rows)
    return {
        "web/Chart.yaml": f"apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n{listed}",
        "common/Chart.yaml": "name: common\nversion: 1.2.3\ndependencies: [{name: base, repository: 'file://../base'}]",
        "common/templates/a.tpl": "a",
        "base/Chart.yaml": "name: base\nversion: 0.1.0",
    }


def test_local_dependencies_are_put_where_helm_looks_and_theirs_too() -> None:
    found = chart(dependent("{name: common, version: ^1.0.0, repository: 'file://../common'}"))
    found.arguments("", ())
    assert found.own.copies == {
        "web/charts/common/Chart.yaml": "common/Chart.yaml",
        "web/charts/common/templates/a.tpl": "common/templates/a.tpl",
        "web/charts/common/charts/base/Chart.yaml": "base/Chart.yaml",
    }
    assert found.own.directories.keys() == {"web", "common", "base"}
    assert found.own.contents()["web/charts/common/templates/a.tpl"] == b"a"


def test_dependencies_of_old_charts_and_vendored_ones() -> None:
    row = "{name: common, repository: 'file://../common'}"
    old = dependent() | {"web/Chart.yaml": "name: web", "web/requirements.yaml": f"dependencies: [{row}]"}
    found = chart(old)
    found.arguments("", ())
    assert "web/charts/common/Chart.yaml" in found.own.copies
    for vendored in ("web/charts/common/Chart.yaml", "web/charts/common-1.2.3.tgz"):
        found = chart(dependent(row) | {vendored: "name: common"})
        found.arguments("", ())
        assert found.own.copies == {}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{name: common, repository: 'file://../gone'}", "dependency common: file://../gone: no such directory"),
        (
            "{name: common, repository: 'file://../../x'}",
            "dependency common: file://../../x leads out of the repository",
        ),
        ("{name: common, repository: 'file:///etc'}", "dependency common: file:///etc leads out of the repository"),
        ("{name: ../x, repository: 'file://../common'}", "dependency '../x': cannot be a chart's name"),
        ("{name: common, repository: 'file://..'}", "dependency common: file://..: holds the chart that depends on it"),
        (
            "{name: common, version: 2.x, repository: 'file://../common'}",
            "dependency common: wants version 2.x, its Chart.yaml says 1.2.3",
        ),
    ],
)
def test_a_dependency_that_cannot_be_is_named(row: str, message: str) -> None:
    assert refusal(files=dependent(row)) == f"web/Chart.yaml: {message}"


def test_circles_of_dependencies_end() -> None:
    files = dependent("{name: common, repository: 'file://../common'}")
    files["base/Chart.yaml"] = (
        "name: base\nversion: '1'\ndependencies: [{name: common, repository: 'file://../common'}]"
    )
    assert "dependencies are nested more than 10 deep" in refusal(files=files)


@pytest.mark.parametrize("name", [".", "..", "a/b", "", "../../x", "1"])
def test_a_chart_whose_name_could_be_a_path_is_refused(name: str) -> None:
    assert "cannot be a chart's name" in refusal(files={"web/Chart.yaml": f"name: {name}\nversion: 1.0.0"})


def test_release_names_are_short() -> None:
    assert "longer than Helm's limit of 53" in refusal(release_name="a" * 54)
    assert refusal(files={"web/values.yaml": ""}) == "web: has no Chart.yaml"
