"""What a render was made from: which commits leave it alone, and which give another cache key."""

from collections.abc import Callable
from typing import Any

import pytest

from driftline.adapters.render.renderers import Renderers
from driftline.desired.inputs import Inputs, unchanged
from driftline.model.application import (
    DirectoryOptions,
    FileParameter,
    HelmOptions,
    HelmParameter,
    JsonnetVariable,
    KustomizeOptions,
)
from tests.kit.memory_tree import MemoryTree
from tests.kit.rendering import config_map, request

FILES = {
    "plain/a.yaml": config_map("a"),
    "plain/sub/b.yaml": config_map("b"),
    "plain/README.md": "",
    "overlay/kustomization.yaml": "resources: [../base]\n",
    "overlay/notes.txt": "",
    "base/kustomization.yaml": "resources: [web.yaml]\n",
    "base/web.yaml": config_map("web"),
    "base/unused.yaml": "",
    "chart/Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies: [{name: lib, repository: 'file://../lib'}]",
    "chart/templates/a.yaml": config_map("c"),
    "lib/Chart.yaml": "apiVersion: v2\nname: lib\nversion: 1.0.0\n",
    "values/prod.yaml": "a: 1\n",
    "values/other.yaml": "a: 1\n",
    "jsonnet/main.jsonnet": "import 'x.libsonnet'",
    "library/x.libsonnet": "{apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'j'}}",
    "elsewhere/z.yaml": "",
}
CASES: dict[str, tuple[str, dict[str, Any], set[str], set[str]]] = {
    "plain": ("plain", {}, {"plain/a.yaml", "plain/new.yaml"}, {"plain/sub/b.yaml", "plain/README.md"}),
    "recursive": (
        "plain",
        {"directory": DirectoryOptions(recurse=True)},
        {"plain/a.yaml", "plain/sub/b.yaml", "plain/deep/er/new.yml"},
        {"plain/README.md"},
    ),
    "overlay": (
        "overlay",
        {},
        {"overlay/kustomization.yaml", "base/web.yaml", "base/kustomization.yaml"},
        {"overlay/notes.txt", "base/unused.yaml"},
    ),
    "chart": (
        "chart",
        {
            "helm": HelmOptions(
                value_files=("../values/pr*.yaml",), file_parameters=(FileParameter("f", "/elsewhere/z.yaml"),)
            )
        },
        {
            "chart/templates/a.yaml",
            "chart/new.yaml",
            "lib/new.txt",
            "values/prod.yaml",
            "values/pr2.yaml",
            "elsewhere/z.yaml",
        },
        {"values/other.yaml"},
    ),
    "jsonnet": (
        "jsonnet",
        {"directory": DirectoryOptions(libs=("library",))},
        {"jsonnet/main.jsonnet", "library/x.libsonnet", "jsonnet/x.libsonnet"},
        {"jsonnet/README.md"},
    ),
}


def look(renderers: Renderers, files: dict[str, str], path: str, **tool: Any) -> Inputs:
    return renderers.inputs(request(MemoryTree(files), path, **tool))


@pytest.mark.parametrize("name", CASES)
def test_only_what_is_read_gives_another_key_and_nothing_else_needs_a_render(renderers: Renderers, name: str) -> None:
    path, tool, read, beside = CASES[name]
    before = look(renderers, FILES, path, **tool)
    rendered = renderers.render(request(MemoryTree(FILES), path, **tool)).inputs
    assert rendered.key == before.key
    assert before.tool == {"chart": "helm", "overlay": "kustomize"}.get(name, "directory")
    for file in read | beside | {"unrelated/x.yaml", "chart2/Chart.yaml"}:
        files = FILES | {file: FILES.get(file, "") + "\n# changed\n"}
        after = MemoryTree(files)
        same_key = look(renderers, files, path, **tool).key == before.key
        assert same_key is (file not in read), file
        if unchanged(before, after.oids(before.paths())):
            assert same_key, f"{file} would be missed"
        else:
            assert file in read | beside, f"{file} has nothing to do with {path}"


def test_a_push_to_a_monorepo_costs_one_look_for_all_its_applications(renderers: Renderers) -> None:
    files = {f"apps/a{n}/web.yaml": config_map(f"a{n}") for n in range(200)}
    before = MemoryTree(files)
    known = {n: renderers.inputs(request(before, f"apps/a{n}")) for n in range(200)}
    after = MemoryTree(files | {"apps/a7/web.yaml": config_map("changed"), "docs/x.md": ""})
    oids = after.oids({path for inputs in known.values() for path in inputs.paths()})
    assert after.calls == ["oids"]
    assert [n for n, inputs in known.items() if not unchanged(inputs, oids)] == [7]


@pytest.mark.parametrize(
    ("path", "one", "other"),
    [
        ("plain", {}, {"directory": DirectoryOptions(recurse=True)}),
        ("overlay", {}, {"kustomize": KustomizeOptions(name_prefix="x-")}),
        ("overlay", {"kustomize": KustomizeOptions(images=("a:1",))}, {"kustomize": KustomizeOptions(images=("a:2",))}),
        ("chart", {}, {"helm": HelmOptions(values="a: 1")}),
        ("chart", {}, {"helm": HelmOptions(parameters=(HelmParameter("a", "1"),))}),
        ("chart", {}, {"helm": HelmOptions(kube_version="1.30")}),
        (
            "jsonnet",
            {"directory": DirectoryOptions(libs=("library",))},
            {"directory": DirectoryOptions(libs=("library",), ext_vars=(JsonnetVariable("a", "1"),))},
        ),
    ],
)
def test_parameters_are_part_of_the_key(renderers: Renderers, path: str, one: Any, other: Any) -> None:
    assert look(renderers, FILES, path, **one).key != look(renderers, FILES, path, **other).key


def test_the_cluster_is_part_of_the_key_only_where_the_tool_looks_at_it(renderers: Renderers) -> None:
    from dataclasses import replace

    for path, matters in (("plain", False), ("overlay", False), ("chart", True)):
        asked = request(MemoryTree(FILES), path)
        keys = {renderers.inputs(replace(asked, kube_version=version)).key for version in ("1.36.0", "1.37.0")}
        keys |= {renderers.inputs(replace(asked, api_versions=("v2",))).key}
        assert len(keys) == (3 if matters else 1)


def test_a_render_that_names_the_revision_is_new_with_each_commit(renderers: Renderers) -> None:
    options = HelmOptions(parameters=(HelmParameter("rev", "$ARGOCD_APP_REVISION"),))
    first = renderers.inputs(request(MemoryTree(FILES, commit="a" * 40), "chart", helm=options))
    oids = MemoryTree(FILES).oids(first.paths())
    assert unchanged(first, oids, commit="a" * 40) and not unchanged(first, oids, commit="b" * 40)
    second = renderers.inputs(request(MemoryTree(FILES, commit="b" * 40), "chart", helm=options))
    assert first.key != second.key
    plain = renderers.inputs(request(MemoryTree(FILES, commit="a" * 40), "chart"))
    assert plain.key == renderers.inputs(request(MemoryTree(FILES, commit="b" * 40), "chart")).key


def test_referenced_repositories_are_watched_by_their_ref(renderers: Renderers) -> None:
    values = MemoryTree({"prod.yaml": "a: 1\n", "other.yaml": ""})
    options = HelmOptions(value_files=("$values/prod.yaml",))
    asked = request(MemoryTree(FILES), "chart", {"values": values}, helm=options)
    found = renderers.inputs(asked)
    assert found.paths("values") == ("prod.yaml",)
    assert unchanged(found, MemoryTree({"prod.yaml": "a: 1\n", "other.yaml": "new"}).oids(["prod.yaml"]), "values")
    assert not unchanged(found, MemoryTree({"prod.yaml": "a: 2\n"}).oids(["prod.yaml"]), "values")


@pytest.mark.covers("GEN-12")
@pytest.mark.parametrize("path", ["plain", "overlay", "chart"])
def test_an_override_that_appears_in_git_is_noticed(renderers: Renderers, path: str) -> None:
    before = look(renderers, FILES, path)
    for name in (".argocd-source.yaml", ".argocd-source-shop.yaml"):
        after = MemoryTree(FILES | {f"{path}/{name}": "kustomize: {namePrefix: x-}\n"})
        assert not unchanged(before, after.oids(before.paths()))


@pytest.mark.covers("GEN-12")
def test_an_override_counts(renderers: Renderers) -> None:
    files = FILES | {"overlay/.argocd-source-shop.yaml": "kustomize: {namePrefix: over-}\n"}
    found = renderers.render(request(MemoryTree(files), "overlay"))
    assert [body["metadata"]["name"] for body in found.objects] == ["over-web"]


def test_a_chart_that_appears_changes_the_tool_and_is_noticed(renderers: Renderers) -> None:
    for path in ("plain", "overlay"):
        before = look(renderers, FILES, path)
        after = MemoryTree(FILES | {f"{path}/Chart.yaml": "name: x\nversion: 1.0.0\n"})
        assert not unchanged(before, after.oids(before.paths()))


def test_inputs_start_no_process(renderers: Renderers, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("subprocess.Popen", forbidden)
    for path in ("plain", "overlay", "chart"):
        assert look(renderers, FILES, path).key


def test_links_are_watched_with_what_they_lead_to(renderers: Renderers) -> None:
    links = {"plain/l.yaml": "../elsewhere/z.yaml", "now": "plain"}
    files = FILES | {"elsewhere/z.yaml": config_map("z")}
    make: Callable[[dict[str, str], dict[str, str]], MemoryTree] = lambda changes, more: MemoryTree(  # noqa: E731
        files | changes, links | more
    )
    before = renderers.inputs(request(make({}, {}), "now"))
    assert unchanged(before, make({}, {}).oids(before.paths()))
    assert not unchanged(before, make({"elsewhere/z.yaml": config_map("y")}, {}).oids(before.paths()))
    assert not unchanged(before, make({}, {"now": "base"}).oids(before.paths()))
