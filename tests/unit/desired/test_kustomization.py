"""What a kustomization reads, found without running Kustomize, and options written into it."""

from typing import Any

import pytest

from driftline.desired.environment import Environment
from driftline.desired.images import merged_images, parse_image
from driftline.desired.kustomization import collect, components_of, edited, option_references
from driftline.desired.lookup import Lookup
from driftline.desired.material import Bounds, Material
from driftline.model.application import KustomizeOptions
from driftline.model.errors import Permanent
from tests.kit.memory_tree import MemoryTree

NONE = Environment({"TAG": "1.4"})


def gathered(files: dict[str, str], path: str = "app", links: dict[str, str] | None = None, **more: Any) -> Material:
    """The material of a kustomization in a repository with these files."""
    material = Material(Lookup(MemoryTree(files, links or {})), more.pop("bounds", Bounds()))
    directory = material.lookup.find(path)
    assert directory is not None
    collect(material, directory, option_references(material, path, KustomizeOptions(**more)))
    return material


def refusal(kustomization: str, **files: str) -> str:
    """The message with which a kustomization in app/ is refused; `files` are further ones, `__` for a slash."""
    tree = {name.replace("__", "/").replace("_yaml", ".yaml"): text for name, text in files.items()}
    with pytest.raises(Permanent) as caught:
        gathered({"app/kustomization.yaml": kustomization, **tree})
    return caught.value.message


def test_every_file_that_is_named_is_found_and_no_other() -> None:
    files = {
        "app/kustomization.yml": """
resources: [web.yaml, ../base]
components: [../component]
patches: [{path: patch.yaml}, {patch: "inline"}]
patchesStrategicMerge: [merge.yaml, "kind: Inline"]
patchesJson6902: [{target: {kind: X}, path: six.yaml}]
replacements: [{path: replacement.yaml}]
crds: [crd.yaml]
configurations: [names.yaml]
openapi: {path: schema.json}
configMapGenerator: [{name: a, files: [config.txt, key=other.txt], envs: [e.env]}, {name: b, env: old.env}]
secretGenerator: [{name: s, files: [secret.txt]}]
""",
        "base/kustomization.yaml": "resources: [deep/thing.yaml]\nbases: [../older]\n",
        "base/deep/thing.yaml": "",
        "older/Kustomization": "",
        "component/kustomization.yaml": "kind: Component\n",
        "unrelated.yaml": "",
        "app/README.md": "",
    }
    names = "web patch merge six replacement crd names".split()  # noqa: SIM905 - reads better
    files |= {f"app/{name}.yaml": "" for name in names}
    files |= {
        f"app/{name}": "" for name in ("schema.json", "config.txt", "other.txt", "e.env", "old.env", "secret.txt")
    }
    material = gathered(files)
    assert set(material.files) == set(files) - {"unrelated.yaml", "app/README.md"}
    assert "app/kustomization.yaml" in material.absent, "it would be taken first if it appeared"


def test_what_a_plugin_may_read_is_all_of_its_directory() -> None:
    files = {
        "app/kustomization.yaml": "transformers: [t.yaml, 'kind: Inline\n\n  name: x']\n",
        "app/t.yaml": "path: data/x",
        "app/data/x": "",
    }
    assert gathered(files).directories == {"app": MemoryTree(files).oids(["app"])["app"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resources: [gone.yaml]", "app/kustomization.yaml: resources[0]: gone.yaml: no such file or directory"),
        ("resources: [../../x]", "app/kustomization.yaml: resources[0]: ../../x: leads out of the repository"),
        ("resources: [/etc/passwd]", "app/kustomization.yaml: resources[0]: /etc/passwd: is absolute"),
        ("patches: [{path: ../../x}]", "app/kustomization.yaml: patches[0].path: ../../x: leads out of"),
        ("components: [/x]", "app/kustomization.yaml: components[0]: /x: is absolute"),
        ("configMapGenerator: [{name: a, files: [k=/etc/passwd]}]", "configMapGenerator[0].files[0]: /etc/passwd: is"),
        ("secretGenerator: [{name: a, envs: [../../x]}]", "secretGenerator[0].envs[0]: ../../x: leads out of"),
        ("openapi: {path: ../../x}", "openapi.path: ../../x: leads out of the repository"),
        ("resources: [https://u:pw@evil.example/x.yaml]", "resources[0]: https://evil.example/x.yaml: is not in this"),
        (
            "resources: [github.com/org/repo//base?ref=v1]",
            "github.com/org/repo//base?ref=v1: is not in this repository",
        ),
        ("resources: ['git@host:a/b.git']", "resources[0]: git@host:a/b.git: is not in this repository"),
        ("resources: ['http://169.254.169.254/latest']", "and nothing is fetched while rendering; copy it in"),
        (
            "crds: ['https://evil.example/crd.yaml']",
            "crds[0]: https://evil.example/crd.yaml: is not in this repository",
        ),
        ("helmCharts: [{name: a}]", "app/kustomization.yaml: helmCharts: charts are not inflated by Kustomize here"),
        ("helmChartInflationGenerator: [{}]", "helmChartInflationGenerator: charts are not inflated"),
        ("a: 1\na: 2", 'app/kustomization.yaml:2: duplicate key "a"'),
        ("[]", "app/kustomization.yaml: want one map"),
        ("crds: [sub]", "app/kustomization.yaml: crds[0]: sub: is no file"),
        ("resources: [sub]", "app/sub: has no kustomization.yaml"),
    ],
)
def test_what_cannot_be_read_is_named_by_file_and_field(text: str, message: str) -> None:
    assert message in refusal(text, app__sub__x_yaml="")
    assert "pw" not in refusal(text, app__sub__x_yaml="")


def test_circles_and_chains_end() -> None:
    circle = gathered({"app/kustomization.yaml": "resources: [../b]", "b/kustomization.yaml": "resources: [../app]"})
    assert set(circle.files) == {"app/kustomization.yaml", "b/kustomization.yaml"}
    chain = {f"d{n}/kustomization.yaml": f"resources: [../d{n + 1}]" for n in range(600)}
    with pytest.raises(Permanent, match="more than 500 directories are built on each other"):
        gathered(chain, "d0")
    many = {"app/kustomization.yaml": "resources: [" + ",".join(f"f{n}.yaml" for n in range(20)) + "]"}
    with pytest.raises(Permanent, match="more than 10 files would be needed"):
        gathered(many | {f"app/f{n}.yaml": "" for n in range(20)}, bounds=Bounds(files=10))


def test_links_are_kept_inside_and_refused_outside() -> None:
    files = {
        "app/kustomization.yaml": "resources: [linked.yaml, ../current]",
        "real.yaml": "",
        "v2/kustomization.yaml": "",
    }
    material = gathered(files, links={"app/linked.yaml": "../real.yaml", "current": "v2"})
    assert material.links == {"app/linked.yaml": "real.yaml", "current": "v2"}
    assert set(material.files) == {"app/kustomization.yaml", "real.yaml", "v2/kustomization.yaml"}
    assert {"app/linked.yaml", "current"} <= material.items().keys()
    with pytest.raises(Permanent, match=r"app/linked\.yaml: this symbolic link leads out of the repository"):
        gathered(files, links={"app/linked.yaml": "../../etc/passwd", "current": "v2"})


def written(content: dict[str, Any], **options: Any) -> dict[str, Any]:
    return edited("app/kustomization.yaml", content, KustomizeOptions(**options), options.get("components", ()), NONE)


@pytest.mark.covers("OBJ-05")
@pytest.mark.covers("GEN-10")
def test_options_are_written_into_the_kustomization() -> None:
    content = {
        "resources": ["web.yaml"],
        "namePrefix": "old-",
        "images": [{"name": "web", "newTag": "1"}, {"name": "db", "newTag": "7"}],
        "replicas": [{"name": "web", "count": 1}],
        "patches": [{"path": "a.yaml"}],
        "components": ["../c"],
    }
    assert written(content) == content
    assert written(
        content,
        name_prefix="new-",
        name_suffix="-x",
        images=("web=registry/web:$TAG",),
        replicas=(("web", 3), ("api", 0)),
        namespace="store",
        patches=({"patch": "[]", "target": {"kind": "X"}},),
        components=("../d",),
        common_annotations={"a": "$TAG"},
    ) == {
        "resources": ["web.yaml"],
        "namePrefix": "new-",
        "nameSuffix": "-x",
        "images": [{"name": "db", "newTag": "7"}, {"name": "web", "newName": "registry/web", "newTag": "1.4"}],
        "replicas": [{"name": "web", "count": 3}, {"name": "api", "count": 0}],
        "namespace": "store",
        "patches": [{"path": "a.yaml"}, {"patch": "[]", "target": {"kind": "X"}}],
        "components": ["../c", "../d"],
        "commonAnnotations": {"a": "$TAG"},
    }
    assert written({}, common_annotations={"a": "$TAG"}, common_annotations_envsubst=True) == {
        "commonAnnotations": {"a": "1.4"}
    }


@pytest.mark.covers("OBJ-05")
def test_labels_are_added_with_and_without_selectors_and_never_replaced_by_accident() -> None:
    content = {"commonLabels": {"a": "1"}, "labels": [{"pairs": {"b": "1"}}]}
    assert written(content, common_labels={"c": "$TAG"})["commonLabels"] == {"a": "1", "c": "1.4"}
    assert written(content, common_labels={"c": "2"}, label_without_selector=True, label_include_templates=True)[
        "labels"
    ] == [{"pairs": {"b": "1"}}, {"pairs": {"c": "2"}, "includeSelectors": False, "includeTemplates": True}]
    for name in ("a", "b"):
        with pytest.raises(Permanent, match=rf"label {name} is already set; set forceCommonLabels"):
            written(content, common_labels={name: "2"})
    forced = written(content, common_labels={"a": "2"}, force_common_labels=True)
    assert forced["commonLabels"] == {"a": "2"}
    with pytest.raises(Permanent, match="annotation a is already set; set forceCommonAnnotations"):
        written({"commonAnnotations": {"a": "1"}}, common_annotations={"a": "2"})
    forced = written({"commonAnnotations": {"a": "1"}}, common_annotations={"a": "2"}, force_common_annotations=True)
    assert forced["commonAnnotations"] == {"a": "2"}


def test_missing_components_are_an_error_unless_they_may_be() -> None:
    files = {"app/kustomization.yaml": "", "c/kustomization.yaml": "kind: Component"}
    with pytest.raises(Permanent, match=r"source\.kustomize\.components\[1\]: \.\./gone: no such file or directory"):
        gathered(files, components=("../c", "../gone"))
    material = gathered(files, components=("../c", "../gone"), ignore_missing_components=True)
    assert "gone" in material.absent
    options = KustomizeOptions(components=("../c", "../gone"), ignore_missing_components=True)
    assert components_of(material, "app", options) == ("../c",)


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("web=registry:5000/web:1.4", {"name": "web", "newName": "registry:5000/web", "newTag": "1.4"}),
        ("web=registry:5000/web", {"name": "web", "newName": "registry:5000/web"}),
        ("web:1.4", {"name": "web", "newTag": "1.4"}),
        ("registry:5000/web:1.4", {"name": "registry:5000/web", "newTag": "1.4"}),
        ("web@sha256:abc", {"name": "web", "digest": "sha256:abc"}),
        ("web=new@sha256:abc", {"name": "web", "newName": "new", "digest": "sha256:abc"}),
        ("web=new:1@sha256:abc", {"name": "web", "newName": "new", "newTag": "1", "digest": "sha256:abc"}),
    ],
)
def test_the_forms_of_an_image(text: str, image: dict[str, str]) -> None:
    assert parse_image(text) == image


@pytest.mark.parametrize("text", ["", "web", "=x:1", "a=b=c", ":1"])
def test_what_is_no_image_is_refused(text: str) -> None:
    with pytest.raises(Permanent, match=r"source\.kustomize\.images"):
        parse_image(text)


def test_a_star_keeps_what_the_file_says() -> None:
    existing = [{"name": "web", "newName": "mine", "newTag": "1"}]
    assert merged_images(existing, ["web=*:2"]) == [{"name": "web", "newName": "mine", "newTag": "2"}]
    assert merged_images(existing, ["web=other:*"]) == [{"name": "web", "newName": "other", "newTag": "1"}]
    assert merged_images([], ["web=other:*"]) == [{"name": "web", "newName": "other"}]
