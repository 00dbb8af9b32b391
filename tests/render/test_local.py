"""A checkout on this machine is rendered as its commit would be."""

import os
from pathlib import Path

import pytest

from driftline.adapters.render.local import DirectoryTree
from driftline.adapters.render.renderers import Renderers
from driftline.desired.tree import EntryKind, Tree
from driftline.model.errors import Permanent
from tests.kit.rendering import config_map, rendered_names, request


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    for path, text in {
        "app/a.yaml": config_map("a"),
        "app/sub/b.yaml": config_map("b"),
        "overlay/kustomization.yaml": "resources: [../app/base]\n",
        "app/base/kustomization.yaml": "resources: [c.yaml]\n",
        "app/base/c.yaml": config_map("c"),
        ".git/config": "secret",
        "run.sh": "",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("app")
    (root / "out").symlink_to("/etc")
    os.mkfifo(root / "app" / "pipe.yaml")
    return root


def test_it_renders_like_a_commit(renderers: Renderers, checkout: Path) -> None:
    tree: Tree = DirectoryTree(checkout)
    assert rendered_names(renderers, tree) == ["ConfigMap/a"]
    assert rendered_names(renderers, tree, "link") == ["ConfigMap/a"]
    assert rendered_names(renderers, tree, "overlay") == ["ConfigMap/c"]
    with pytest.raises(Permanent, match="out: this symbolic link leads out of the repository"):
        renderers.render(request(tree, "out"))


def test_entries_are_those_of_a_tree(checkout: Path) -> None:
    tree = DirectoryTree(checkout)
    assert [(each.path, each.kind) for each in tree.list("")] == [
        ("app", EntryKind.DIRECTORY),
        ("link", EntryKind.SYMLINK),
        ("out", EntryKind.SYMLINK),
        ("overlay", EntryKind.DIRECTORY),
        ("run.sh", EntryKind.EXECUTABLE),
    ]
    assert [each.path for each in tree.list("app", recursive=True)] == [
        "app/a.yaml",
        "app/base/c.yaml",
        "app/base/kustomization.yaml",
        "app/sub/b.yaml",
    ]
    for path in ("link/a.yaml", "../repository", ".git/config", "app/a.yaml/x", "out/passwd", "app/./a.yaml", "gone"):
        assert tree.entry(path) is None, path
    for path in ("app", ".git/config", "app/pipe.yaml", "out/passwd"):
        with pytest.raises(Permanent, match="is no file"):
            tree.read([path])
    assert tree.read(["link", "run.sh"]) == {"link": b"app", "run.sh": b""}
    with pytest.raises(Permanent, match="is no directory"):
        DirectoryTree(checkout / "run.sh")
    with pytest.raises(Permanent, match="is no directory"):
        tree.list("out")


def test_object_ids_are_those_of_the_content(checkout: Path) -> None:
    before = DirectoryTree(checkout).oids(["", "app", "app/a.yaml", "overlay", "gone"])
    assert before.keys() == {"", "app", "app/a.yaml", "overlay"}
    (checkout / "app/a.yaml").write_text(config_map("changed"))
    after = DirectoryTree(checkout).oids(before)
    assert {path for path in before if before[path] != after[path]} == {"", "app", "app/a.yaml"}
