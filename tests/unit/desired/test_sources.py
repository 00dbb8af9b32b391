"""From a source to its tool, its files and its parameters: what is read, and what the cache key is made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.desired.directory import select, wanted
from driftline.desired.environment import build_environment
from driftline.desired.inputs import Inputs, unchanged
from driftline.desired.jsonnet import closure, imports
from driftline.desired.lookup import Lookup
from driftline.desired.manifests import parse_files, parse_stream
from driftline.desired.overrides import overridden, override_names
from driftline.desired.paths import inside, join
from driftline.desired.tools import Tool, application_directory, choose, renders
from driftline.formats.sources import read_source, source_document
from driftline.formats.yaml import Limits
from driftline.model.application import (
    Application,
    Destination,
    DirectoryOptions,
    FileParameter,
    HelmOptions,
    HelmParameter,
    JsonnetVariable,
    KustomizeOptions,
    Source,
)
from driftline.model.errors import Permanent
from tests.kit.memory_tree import MemoryTree

GIT = "https://git.example/a"
SHOP = Application("shop", Destination(name="in-cluster", namespace="store"), (Source(GIT, "deploy"),), project="web")


@pytest.mark.parametrize(
    ("source", "names", "tool"),
    [
        (Source(GIT, "a"), ["web.yaml"], Tool.DIRECTORY),
        (Source(GIT, "a"), ["kustomization.yml"], Tool.KUSTOMIZE),
        (Source(GIT, "a"), ["Kustomization", "Chart.yaml"], Tool.HELM),
        (Source(GIT, "a", directory=DirectoryOptions()), ["Chart.yaml"], Tool.DIRECTORY),
        (Source(GIT, "a", kustomize=KustomizeOptions()), ["Chart.yaml"], Tool.KUSTOMIZE),
        (Source(GIT, "a", helm=HelmOptions()), [], Tool.HELM),
        (Source(GIT, chart="web"), [], Tool.HELM),
    ],
)
@pytest.mark.covers("GEN-01")
def test_the_tool_is_named_or_found(source: Source, names: list[str], tool: Tool) -> None:
    assert choose(source, names) is tool


@pytest.mark.covers("GEN-16")
def test_a_ref_alone_renders_nothing() -> None:
    assert renders(Source(GIT, "a")) and renders(Source(GIT, chart="web"))
    assert not renders(Source(GIT, ref="values"))


@pytest.mark.covers("OBJ-07")
def test_a_plugin_is_refused_by_name_with_a_way_out() -> None:
    with pytest.raises(Permanent, match=r"plugin tanka: config management plugins are not run here; commit what"):
        choose(Source(GIT, "a", plugin={"name": "tanka"}), [])
    with pytest.raises(Permanent, match=r"plugin \(found by its files\): config management"):
        choose(Source(GIT, "a", plugin={}), [])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nope", "nope: app path does not exist in commit c0ffee000000"),
        ("web.yaml", "web.yaml: app path is not a directory"),
        ("/etc", "/etc: app path is absolute"),
        ("out", "out: this symbolic link leads out of the repository"),
        ("absolute", "absolute: this symbolic link leads out of the repository"),
        ("loop", "loop: symbolic links lead in circles"),
        ("dangling", "dangling: app path does not exist in commit c0ffee000000"),
    ],
)
@pytest.mark.covers("GEN-02")
def test_a_path_that_is_none_is_named(path: str, message: str) -> None:
    links = {"out": "../x", "absolute": "/proc/self/environ", "loop": "pool", "pool": "loop", "dangling": "gone"}
    lookup = Lookup(MemoryTree({"web.yaml": "", "app/a.yaml": ""}, links))
    with pytest.raises(Permanent) as caught:
        application_directory(lookup, path)
    assert caught.value.message == message


def test_links_inside_the_repository_are_followed() -> None:
    tree = MemoryTree({"real/app/a.yaml": "x"}, {"apps": "real", "real/current": "./app", "l": "apps/current/a.yaml"})
    lookup = Lookup(tree)
    assert application_directory(lookup, "apps/current").path == "real/app"
    found = lookup.find("l")
    assert found is not None and found.path == "real/app/a.yaml"
    assert [link.path for link in found.links] == ["l", "apps", "real/current"]


@pytest.mark.parametrize("reference", ["../../x", "/etc/passwd", "a/../../../b", "", "a\0b", "..\\x"])
def test_no_reference_leads_out_of_the_repository(reference: str) -> None:
    with pytest.raises(Permanent):
        join("base", reference)


@given(parts=st.lists(st.sampled_from(["..", ".", "a", "b", ""]), max_size=8))
def test_a_joined_path_is_short_and_inside_or_refused(parts: list[str]) -> None:
    try:
        found = inside("/".join(parts))
    except Permanent:
        depth, lowest = 0, 0
        for part in parts:
            depth += -1 if part == ".." else int(part not in ("", "."))
            lowest = min(lowest, depth)
        assert lowest < 0
        return
    assert ".." not in found.split("/") and not found.startswith("/")


TREE = MemoryTree(
    {
        "app/web.yaml": "a",
        "app/db.yml": "b",
        "app/data.json": "{}",
        "app/logic.jsonnet": "{}",
        "app/notes.txt": "n",
        "app/.argocd-source.yaml": "",
        "app/sub/deep.yaml": "d",
        "shared/common.yaml": "c",
    },
    {"app/linked.yaml": "../shared/common.yaml", "app/dangling.yaml": "gone.yaml", "app/dir.yaml": "sub"},
)


def chosen(options: DirectoryOptions) -> list[str]:
    return [file.path.removeprefix("app/") for file in select(Lookup(TREE), "app", options, 1000).files]


@pytest.mark.covers("GEN-04")
def test_manifests_of_a_directory() -> None:
    plain = ["data.json", "db.yml", "linked.yaml", "logic.jsonnet", "web.yaml"]
    assert chosen(DirectoryOptions()) == plain
    assert chosen(DirectoryOptions(recurse=True)) == sorted([*plain, "sub/deep.yaml"])
    assert chosen(DirectoryOptions(include="{web,db}.*")) == ["db.yml", "web.yaml"]
    assert chosen(DirectoryOptions(include="*.y*ml", exclude="w*")) == ["db.yml", "linked.yaml"]
    assert chosen(DirectoryOptions(recurse=True, exclude="sub/*")) == plain
    assert chosen(DirectoryOptions(include="*.txt")) == []
    assert chosen(DirectoryOptions(include="*.txt", disable_extension_filter=True)) == ["notes.txt"]
    assert not wanted("notes.txt", DirectoryOptions(disable_extension_filter=True))


def test_links_among_manifests_are_followed_inside_only_and_sizes_are_capped() -> None:
    found = select(Lookup(TREE), "app", DirectoryOptions(), 1000)
    assert [(file.real, file.oid) for file in found.files if file.path == "app/linked.yaml"] == [
        ("shared/common.yaml", TREE.oids(["shared/common.yaml"])["shared/common.yaml"])
    ]
    assert found.links == ("shared/common.yaml",)
    assert found.warnings == ("app/dangling.yaml: symbolic link to nothing, passed over",)
    bad = MemoryTree({"app/a.yaml": "a"}, {"app/b.yaml": "../../../etc/passwd"})
    with pytest.raises(Permanent, match=r"app/b\.yaml: this symbolic link leads out of the repository"):
        select(Lookup(bad), "app", DirectoryOptions(), 1000)
    with pytest.raises(Permanent, match="app: its manifests hold 7 bytes, more than the limit of 3"):
        select(Lookup(TREE), "app", DirectoryOptions(), 3)


CONFIG_MAP = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


@pytest.mark.covers("GEN-03")
@pytest.mark.covers("GEN-04")
def test_files_that_are_no_manifests_are_passed_over_and_broken_ones_are_not() -> None:
    parsed = parse_files(
        [
            ("a.yaml", b"---\n" + CONFIG_MAP + b"---\n" + CONFIG_MAP),
            ("values.yaml", b"replicas: 1\n"),
            ("template.yaml", b"{{ if .x }}\na: b\n"),
            ("skipped.yaml", b"# +argocd:skip-file-rendering\n" + CONFIG_MAP),
            ("empty.yaml", b"# nothing\n"),
            ("wide.yaml", CONFIG_MAP.decode().encode("utf-16")),
        ],
        Limits(),
    )
    assert parsed.origins == ("a.yaml:2", "a.yaml:6", "wide.yaml:1")
    assert parsed.warnings == (
        "values.yaml: not a Kubernetes manifest, passed over",
        "template.yaml: not a Kubernetes manifest, passed over",
    )
    with pytest.raises(Permanent, match=r"broken\.yaml:5: .* \(while scanning a quoted scalar, line 4\)"):
        parse_files([("broken.yaml", CONFIG_MAP + b"x: 'y\n")], Limits())
    with pytest.raises(Permanent, match=r"b\.json: a \.json file holds exactly one object"):
        parse_files([("b.json", b'[{"kind": "X"}]')], Limits())
    with pytest.raises(Permanent, match=r"b\.json:1: not valid JSON"):
        parse_files([("b.json", b"{} {}")], Limits())


def test_helms_comments_say_where_a_document_is_from() -> None:
    text = (
        b"---\n# Source: web/templates/a.yaml\n" + CONFIG_MAP + b"---\n" + CONFIG_MAP + b"---\n# Source: web/t/b.yaml\n"
    )
    assert parse_stream(text + CONFIG_MAP, "helm", Limits()).origins == (
        "web/templates/a.yaml",
        "web/templates/a.yaml",
        "web/t/b.yaml",
    )
    assert parse_stream(CONFIG_MAP, "kustomize", Limits()).origins == ("kustomize:1",)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("$ARGOCD_APP_NAME-${ARGOCD_APP_NAMESPACE}", "shop-store"),
        ("$$ARGOCD_APP_NAME", "$ARGOCD_APP_NAME"),
        ("a$$b", "a$b"),
        ("$NOPE.x", ".x"),
        ("100$", "100$"),
        ("${", ""),
        ("${}x", "x"),
        ("$/x", "$/x"),
        ("$1x", "x"),
        ("$ARGOCD_APP_REVISION_SHORT", "0123456"),
        ("$ARGOCD_APP_REVISION_SHORT_8", "01234567"),
        ("$KUBE_VERSION $KUBE_API_VERSIONS", "1.37 v1,apps/v1"),
        ("$ARGOCD_APP_PROJECT_NAME $ARGOCD_APP_SOURCE_PATH", "web deploy"),
    ],
)
@pytest.mark.covers("GEN-11")
def test_the_build_environment(text: str, want: str) -> None:
    environment = build_environment(SHOP, SHOP.sources[0], "0123456789" * 4, "1.37", ("v1", "apps/v1"))
    assert environment.expand(text) == want
    assert environment.volatile is ("REVISION" in text)


def test_unknown_names_are_reported() -> None:
    environment = build_environment(SHOP, SHOP.sources[0], "0" * 40, "1.37", ())
    environment.expand("$TAG $$ $ARGOCD_APP_NAME")
    assert environment.unknown == ("TAG",)


SOURCES = [
    Source(GIT, "a", "main", name="n", ref="r", tag_prefix="v"),
    Source("https://charts.example", chart="web", target_revision="1.*"),
    Source(
        GIT,
        "a",
        helm=HelmOptions(
            release_name="r",
            value_files=("a", "b"),
            values="a: 1",
            values_object={"a": {}},
            parameters=(HelmParameter("a", "b", True), HelmParameter("c", "")),
            file_parameters=(FileParameter("a", "b"),),
            skip_crds=True,
            skip_schema_validation=True,
        ),
    ),
    Source(
        GIT,
        "a",
        kustomize=KustomizeOptions(
            images=("a=b",), replicas=(("a", 0),), common_labels={"a": "b"}, patches=({"path": "p"},), components=("c",)
        ),
    ),
    Source(
        GIT, "a", directory=DirectoryOptions(recurse=True, ext_vars=(JsonnetVariable("a", "b", True),), libs=("l",))
    ),
    Source(GIT, "a", plugin={"name": "x", "env": [{"name": "a", "value": "b"}]}),
]


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_written_and_read_again_is_the_same(source: Source) -> None:
    assert read_source(source_document(source), "f") == (source, ())


@pytest.mark.covers("GEN-12")
def test_overrides_kept_in_git_are_merged_in_and_cannot_move_the_source() -> None:
    source = Source(GIT, "a", "main", helm=HelmOptions(release_name="r", values="a: 1", value_files=("x",)))
    assert override_names("shop") == (".argocd-source.yaml", ".argocd-source-shop.yaml")
    found, warnings = overridden(
        source,
        [
            ("a/.argocd-source.yaml", b"helm: {values: null, parameters: [{name: tag, value: '1'}]}\nrepoURL: evil\n"),
            ("a/.argocd-source-shop.yaml", b"path: /etc\nhelm: {parameters: [{name: tag, value: '2'}], nope: 1}\n"),
        ],
    )
    assert found == Source(
        GIT,
        "a",
        "main",
        helm=HelmOptions(release_name="r", value_files=("x",), parameters=(HelmParameter("tag", "2"),)),
    )
    assert warnings == ("a/.argocd-source-shop.yaml: source.helm.nope: unknown field: kept, but it has no effect",)
    with pytest.raises(Permanent, match=r"a/\.argocd-source\.yaml: source\.helm: want a map, got a text"):
        overridden(source, [("a/.argocd-source.yaml", b"helm: x\n")])


@pytest.mark.covers("GEN-05")
def test_the_imports_of_jsonnet_are_found_without_running_it() -> None:
    text = """local a = import 'a.libsonnet'; local b = importstr "b\\'c.txt"; importbin @'d''e.bin' // import 'no'"""
    assert list(imports(text)) == ["a.libsonnet", "b'c.txt", "d'e.bin", "no"]
    files = {
        "app/main.jsonnet": b"import 'near.libsonnet'",
        "app/near.libsonnet": b"import 'far.libsonnet'",
        "lib/far.libsonnet": b"importstr '../../../etc/passwd'",
    }
    found = closure(
        {"app/main.jsonnet": files["app/main.jsonnet"]},
        ("app", "lib"),
        lambda paths: {path: files[path] for path in paths if path in files},
    )
    assert dict(found.files) == files
    assert found.absent == ("lib/near.libsonnet", "app/far.libsonnet")


items = st.tuples(st.sampled_from(["", "values"]), st.text(max_size=5), st.text("0f", max_size=4))
inputs = st.builds(
    Inputs,
    st.text(max_size=4),
    st.lists(items, max_size=4).map(tuple),
    st.text(max_size=8),
    st.lists(items, max_size=4, unique_by=lambda item: item[:2]).map(tuple),
    st.sampled_from(["", "c1"]),
)


@given(one=inputs, other=inputs)
def test_a_key_stands_for_exactly_what_is_read(one: Inputs, other: Inputs) -> None:
    assert Inputs.from_json(one.to_json()) == one
    same = (one.tool, one.items, one.parameters) == (other.tool, other.items, other.parameters)
    assert (one.key == other.key) is same


@given(one=inputs, path=st.text(max_size=5))
def test_a_commit_that_leaves_the_watched_paths_alone_leaves_the_render_alone(one: Inputs, path: str) -> None:
    before = {path: oid for ref, path, oid in one.watched if not ref and oid}
    assert unchanged(one, before, commit=one.revision)
    if path in one.paths():
        assert not unchanged(one, {**before, path: "other"}, commit=one.revision)
    else:
        assert unchanged(one, {**before, path: "other"}, commit=one.revision)
    assert unchanged(one, before, commit="c2") is (not one.revision)
