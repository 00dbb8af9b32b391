"""Directories of YAML, JSON and Jsonnet through the real helper process."""

import os
import signal
import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from driftline.adapters.render.client import Helper
from driftline.adapters.render.renderers import Renderers
from driftline.adapters.render.settings import MIB, ProcessLimits, RenderSettings
from driftline.desired.tools import Tool
from driftline.model.application import DirectoryOptions, JsonnetVariable
from driftline.model.errors import Permanent, Temporary
from tests.kit.memory_tree import MemoryTree
from tests.kit.rendering import config_map, names, rendered_names, request

TREE = MemoryTree(
    {
        "app/b.yaml": config_map("b1") + "---\n" + config_map("b2"),
        "app/a.json": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}',
        "app/values.yaml": "replicas: 1\n",
        "app/sub/c.yml": config_map("c"),
    },
    {"app/link.yaml": "../shared.yaml", "linked": "app/sub"},
)
TREE.files = {**TREE.files, "shared.yaml": config_map("shared")}


@pytest.mark.covers("GEN-03")
@pytest.mark.covers("GEN-04")
def test_a_directory_of_manifests(renderers: Renderers) -> None:
    found = renderers.render(request(TREE))
    assert found.tool is Tool.DIRECTORY
    assert names(found) == ["ConfigMap/a", "ConfigMap/b1", "ConfigMap/b2", "ConfigMap/shared"]
    assert found.origins == ("app/a.json:1", "app/b.yaml:1", "app/b.yaml:6", "app/link.yaml:1")
    assert found.warnings == ("app/values.yaml: not a Kubernetes manifest, passed over",)
    assert rendered_names(renderers, TREE, directory=DirectoryOptions(recurse=True, exclude="{a.json,link*}")) == [
        "ConfigMap/b1",
        "ConfigMap/b2",
        "ConfigMap/c",
    ]
    assert rendered_names(renderers, TREE, "linked") == ["ConfigMap/c"]


def test_a_directory_without_manifests_renders_nothing(renderers: Renderers) -> None:
    assert renderers.render(request(MemoryTree({"app/README.md": "x"}))).objects == ()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"app/a.yaml": config_map("a") + "x: y: z\n"}, "app/a.yaml:5: mapping values are not allowed"),
        ({"app/a.yaml": config_map("a") + "kind: X\n"}, 'app/a.yaml:5: duplicate key "kind", first given on line 2'),
        ({"app/a.json": "{"}, "app/a.json:1: not valid JSON"),
        ({"app/a.yaml": config_map("a") + "x: " + "[" * 5000}, "app/a.yaml:5: nested more than 100 levels deep"),
        ({"app/a.yaml": config_map("a") + "x: !!python/object/apply:os.system [id]\n"}, "app/a.yaml:5: the tag"),
        ({"app/a.jsonnet": "{ a: }"}, "app/a.jsonnet:1:6"),
        ({"app/a.jsonnet": "error 'no way'"}, "app/a.jsonnet: no way"),
    ],
)
def test_a_broken_file_is_named_with_its_line(renderers: Renderers, files: dict[str, str], message: str) -> None:
    with pytest.raises(Permanent) as caught:
        renderers.render(request(MemoryTree(files)))
    assert message in caught.value.message


JSONNET = MemoryTree(
    {
        "app/main.jsonnet": """
local lib = import 'lib.libsonnet';
function(replicas) [lib.map(std.extVar('name'), {replicas: std.toString(replicas), text: importstr 'text.txt'})]
""",
        "app/text.txt": "hello",
        "vendor/lib.libsonnet": """
{ map(name, data):: {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: name}, data: data + import '../more.json'} }
""",
        "more.json": '{"more": "1"}',
    }
)
OPTIONS = DirectoryOptions(
    ext_vars=(JsonnetVariable("name", "$ARGOCD_APP_NAME-x"),),
    tlas=(JsonnetVariable("replicas", "1 + 2", code=True),),
    libs=("vendor",),
)


@pytest.mark.covers("GEN-05")
@pytest.mark.covers("OBJ-06")
def test_jsonnet_with_libraries_variables_and_arguments(renderers: Renderers) -> None:
    found = renderers.render(request(JSONNET, directory=OPTIONS))
    assert found.objects == (
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "shop-x"},
            "data": {"replicas": "3", "text": "hello", "more": "1"},
        },
    )
    assert {path for _, path, _ in found.inputs.items} == JSONNET.files.keys()


@pytest.mark.parametrize("name", ["/etc/hostname", "../../../../etc/hostname", "../../etc/hostname"])
def test_jsonnet_reads_nothing_outside_the_repository(renderers: Renderers, name: str) -> None:
    for verb in ("import", "importstr"):
        with pytest.raises(Permanent, match=r"no such file in this repository"):
            renderers.render(request(MemoryTree({"app/a.jsonnet": f"{{a: {verb} '{name}'}}"})))


@pytest.fixture
def short(settings: RenderSettings) -> RenderSettings:
    """Little time and memory, so that hostile input ends soon."""
    return replace(settings, deadline=timedelta(seconds=1), limits=ProcessLimits(data=128 * MIB))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("local f(x) = f(x) tailstrict; f(1)", "app/a.jsonnet: reading took longer than 1 s and was stopped"),
        ("local f(x) = 1 + f(x); f(1)", "app/a.jsonnet: max stack frames exceeded"),
        ("std.repeat('x', 1000000000)", "app/a.jsonnet"),
        ("local a = std.makeArray(100000000, function(i) i); std.length([x for x in a])", "app/a.jsonnet"),
    ],
)
def test_jsonnet_that_never_ends_harms_nobody(short: RenderSettings, program: str, message: str) -> None:
    renderers = Renderers(short)
    try:
        started = time.monotonic()
        with pytest.raises(Permanent) as caught:
            renderers.render(request(MemoryTree({"app/a.jsonnet": program})))
        assert message in caught.value.message
        assert time.monotonic() - started < 10
        assert rendered_names(renderers, MemoryTree({"app/a.yaml": config_map("next")})) == ["ConfigMap/next"]
    finally:
        renderers.close()


def helper_of(renderers: Renderers) -> Helper:
    return renderers._helper


def helper_pid(renderers: Renderers) -> int:
    process = helper_of(renderers)._process
    assert process is not None
    return process.pid


def test_the_helper_is_kept_for_a_project_and_replaced_for_another(settings: RenderSettings) -> None:
    renderers = Renderers(replace(settings, helper_renders=3))
    try:
        pids = []
        for project in ("a", "a", "b", "b", "b", "b"):
            renderers.render(request(TREE, project=project))
            pids.append(helper_pid(renderers))
        assert pids[0] == pids[1] != pids[2] == pids[3] == pids[4] != pids[5]
    finally:
        renderers.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[-1], 0)


def test_a_helper_that_died_while_idle_is_replaced_unseen(settings: RenderSettings) -> None:
    renderers = Renderers(settings)
    try:
        renderers.render(request(TREE))
        os.kill(helper_pid(renderers), signal.SIGKILL)
        time.sleep(0.1)
        assert len(renderers.render(request(TREE)).objects) == 4
    finally:
        renderers.close()


def test_a_helper_killed_in_the_middle_is_worth_another_try(settings: RenderSettings) -> None:
    renderers = Renderers(settings)
    endless = MemoryTree({"app/a.jsonnet": "local f(x) = f(x) tailstrict; f(1)"})
    renderers.render(request(TREE))
    timer = threading.Timer(0.5, lambda: os.kill(helper_pid(renderers), signal.SIGKILL))
    timer.start()
    try:
        with pytest.raises(Temporary, match="its reader was killed from outside"):
            renderers.render(request(endless))
        assert len(renderers.render(request(TREE)).objects) == 4
    finally:
        renderers.close()


def test_threads_take_turns(renderers: Renderers) -> None:
    results: list[list[str]] = []
    trees = [MemoryTree({f"app/{n}.yaml": config_map(f"m{n}")}) for n in range(8)]
    threads = [
        threading.Thread(target=lambda tree=tree: results.append(rendered_names(renderers, tree))) for tree in trees
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [[f"ConfigMap/m{n}"] for n in range(8)]


def test_large_and_many_files_pass_through(renderers: Renderers) -> None:
    big = config_map("big", text='"' + "x" * 3_000_000 + '"')
    many = "---\n".join(config_map(f"m{n}") for n in range(1500))
    found = renderers.render(request(MemoryTree({"app/big.yaml": big, "app/many.yaml": many})))
    assert len(found.objects) == 1501
    assert len(found.objects[0]["data"]["text"]) == 3_000_000


def test_too_much_for_one_directory_is_refused_before_it_is_read(renderers: Renderers) -> None:
    tree = MemoryTree({f"app/{n}.yaml": "#" * 4_000_000 for n in range(3)})
    with pytest.raises(Permanent, match="app: its manifests hold 12000000 bytes, more than the limit of 10485760"):
        renderers.render(request(tree))
    assert "read" not in tree.calls
