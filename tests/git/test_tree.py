"""The files of a commit, read without a checkout."""

import os
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from driftline.adapters.git import GitTree, Mirrors
from driftline.adapters.git.parse import parse_commit, parse_tree
from driftline.desired.tree import EntryKind, Tree
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent, Temporary
from tests.git.conftest import MAIN, MakeMirrors
from tests.git.test_fetch import count_processes
from tests.kit.githost import GitHost, WorkTree, git


def commit_tree(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, files: dict[str, str | bytes | None]
) -> GitTree:
    commit = shop.commit("files", files)
    shop.push()
    mirrors.fetch(access, [MAIN])
    return mirrors.tree(access, commit)


def test_entries_contents_and_ids(mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree) -> None:
    (shop.directory / "run.sh").write_text("#!/bin/sh\n")
    (shop.directory / "run.sh").chmod(0o755)
    (shop.directory / "link").symlink_to("/proc/self/environ")
    tree: Tree = commit_tree(
        mirrors, access, shop, {"a/b/c.yaml": "c: 1\n", "a/ü name.yaml": "n: 1\n", "binary": b"\0\n\xff"}
    )
    assert [(entry.path, entry.kind, entry.size) for entry in tree.list("", recursive=True)] == [
        ("README.md", EntryKind.FILE, 5),
        ("a/b/c.yaml", EntryKind.FILE, 5),
        ("a/ü name.yaml", EntryKind.FILE, 5),
        ("app/web.yaml", EntryKind.FILE, 14),
        ("binary", EntryKind.FILE, 3),
        ("link", EntryKind.SYMLINK, 0),
        ("run.sh", EntryKind.EXECUTABLE, 10),
    ]
    assert [(entry.path, entry.kind) for entry in tree.list("a")] == [
        ("a/b", EntryKind.DIRECTORY),
        ("a/ü name.yaml", EntryKind.FILE),
    ]
    assert tree.read(["a/b/c.yaml", "binary", "a/ü name.yaml"]) == {
        "a/b/c.yaml": b"c: 1\n",
        "binary": b"\0\n\xff",
        "a/ü name.yaml": b"n: 1\n",
    }
    assert tree.oids(["a", "a/b/c.yaml", "nope", "a/b/c.yaml/below", "link/below", "../x", "a//b"]) == {
        "a": shop.git("rev-parse", "HEAD:a"),
        "a/b/c.yaml": shop.git("rev-parse", "HEAD:a/b/c.yaml"),
    }
    assert tree.oids([""]) == {"": shop.git("rev-parse", "HEAD^{tree}")}
    root, missing = tree.entry(""), tree.entry("a/none")
    assert root and root.kind is EntryKind.DIRECTORY and missing is None


@pytest.mark.parametrize(
    ("path", "says"),
    [("app", "directory"), ("nope.yaml", "does not exist"), ("../etc/passwd", "does not exist")],
)
def test_only_files_are_read(mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, path: str, says: str) -> None:
    tree = commit_tree(mirrors, access, shop, {})
    with pytest.raises(Permanent, match=says) as refused:
        tree.read([path])
    assert path in str(refused.value) and "root:" not in str(refused.value)
    with pytest.raises(Permanent, match="not a directory"):
        tree.list("app/web.yaml")


def test_a_link_reads_as_its_own_text_and_is_never_followed(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree
) -> None:
    (shop.directory / "link").symlink_to("/etc/passwd")
    assert commit_tree(mirrors, access, shop, {}).read(["link"]) == {"link": b"/etc/passwd"}


def test_a_file_above_the_limit_is_named(make_mirrors: MakeMirrors, access: RepositoryAccess, shop: WorkTree) -> None:
    tree = commit_tree(make_mirrors(blob_limit=1000), access, shop, {"big.yaml": "x" * 300_000, "small.yaml": "s: 1\n"})
    with pytest.raises(Permanent, match=r"big\.yaml: 300000 bytes"):
        tree.read(["big.yaml", "small.yaml"])
    assert tree.read(["small.yaml"]) == {"small.yaml": b"s: 1\n"}


def test_a_commit_of_elsewhere_is_an_error(mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree) -> None:
    mirrors.fetch(access, [MAIN])
    with pytest.raises(Permanent, match="there is no commit"):
        mirrors.tree(access, "e" * 40)
    with pytest.raises(Permanent, match="no commit id"):
        mirrors.tree(access, "HEAD")
    with pytest.raises(Temporary):
        mirrors.tree(RepositoryAccess(access.url, identity="never fetched"), "e" * 40)


def test_a_thousand_applications_cost_one_process_and_little_time(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"apps/app-{number:04}/web.yaml": f"name: app-{number}\n" * 20 for number in range(1000)}
    commit_tree(mirrors, access, shop, dict(files))
    started = count_processes(monkeypatch)
    tree = mirrors.tree(access, shop.git("rev-parse", "HEAD"))
    began = time.perf_counter()
    oids = tree.oids([path.rpartition("/")[0] for path in files])
    contents = tree.read(files)
    took = time.perf_counter() - began
    assert len(oids) == 1000 and contents == {path: text.encode() for path, text in files.items()}
    assert len(started) <= 1
    assert took < 2, "not a promise, but far below one process for each"


def test_threads_share_the_readers(
    make_mirrors: MakeMirrors, access: RepositoryAccess, shop: WorkTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrors = make_mirrors(sessions=2)
    files: dict[str, str | bytes | None] = {f"f/{number}": f"{number}\n" * number for number in range(200)}
    tree = commit_tree(mirrors, access, shop, files)
    started = count_processes(monkeypatch)
    wrong: list[str] = []

    def read(offset: int) -> None:
        for number in range(offset, 200, 7):
            if tree.read([f"f/{number}"]) != {f"f/{number}": f"{number}\n".encode() * number}:
                wrong.append(str(number))

    threads = [threading.Thread(target=read, args=(offset,)) for offset in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(mirrors._readers._idle[next(iter(mirrors._readers._idle))]) <= 2
    assert len(started) < 150, "readers are lent again"


def test_idle_readers_end(make_mirrors: MakeMirrors, access: RepositoryAccess, shop: WorkTree) -> None:
    mirrors = make_mirrors(session_idle=timedelta(seconds=0.05))
    tree = commit_tree(mirrors, access, shop, {})
    reader = next(iter(mirrors._readers._idle.values()))[0]
    time.sleep(0.1)
    mirrors.housekeeping()
    assert mirrors._readers._idle == {}
    assert reader._process.returncode == 0
    assert tree.read(["app/web.yaml"])


def test_a_killed_reader_is_replaced(mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree) -> None:
    tree = commit_tree(mirrors, access, shop, {"x": "x\n"})
    reader = next(iter(mirrors._readers._idle.values()))[0]
    reader._process.kill()
    reader._process.wait()
    with pytest.raises(Temporary, match="cannot be read"):
        tree.read(["x"])
    assert tree.read(["x"]) == {"x": b"x\n"}


def test_a_forked_child_opens_its_own_reader(mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree) -> None:
    tree = commit_tree(mirrors, access, shop, {"x": "x\n"})
    child = os.fork()
    if child == 0:
        os._exit(0 if tree.read(["x"]) == {"x": b"x\n"} and mirrors._readers._process == os.getpid() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert tree.read(["x"]) == {"x": b"x\n"}


def test_replace_refs_and_grafts_of_a_host_change_nothing(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree
) -> None:
    tree = commit_tree(mirrors, access, shop, {"x": "honest\n"})
    evil = shop.commit("evil", {"x": "evil\n"})
    shop.git("replace", tree.commit, evil)
    shop.push(f"refs/replace/{tree.commit}", "HEAD:refs/heads/evil")
    mirrors.fetch(access, ["refs/heads/*", f"refs/replace/{tree.commit}"])
    assert mirrors.tree(access, tree.commit).read(["x"]) == {"x": b"honest\n"}


def test_who_wrote_a_commit(mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree) -> None:
    commit = shop.commit("Raise the limits\n\nMore memory for the shop.")
    shop.push()
    mirrors.fetch(access, [MAIN])
    info = mirrors.commit_info(access, commit)
    assert (info.author_name, info.author_email) == ("Dana Developer", "dana@example.test")
    assert (info.subject, info.message) == ("Raise the limits", "Raise the limits\n\nMore memory for the shop.\n")
    assert info.authored_at.tzinfo is not None


def test_a_hostile_commit_is_read_at_once() -> None:
    began = time.perf_counter()
    info = parse_commit(b"tree x\nauthor " + b"<" * 20_000 + b"\nencoding \xff\xff\n\n" + b"\x1b]0;" * 1000)
    assert time.perf_counter() - began < 0.05
    assert info.authored_at.year == 1970
    for when in (b"99999999999999999999 +0000", b"1 +9999", b"-5 x", b"", b"1700000000 -0130"):
        parse_commit(b"tree x\nauthor A <a@b> " + when + b"\n\nm")
    latin = parse_commit(
        "tree x\nauthor J\xfcrgen <j@x> 1700000000 +0200\nencoding ISO-8859-1\n\nGr\xfc\xdfe".encode("latin-1")
    )
    assert (latin.author_name, latin.subject) == ("Jürgen", "Grüße")
    assert latin.authored_at.utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize("name", [b"..", b".", b".git", b"a/b", b"/etc", b""])
def test_a_tree_with_names_that_escape_is_refused(name: bytes) -> None:
    with pytest.raises(ValueError, match="malformed"):
        parse_tree(b"100644 " + name + b"\0" + b"\1" * 20, 20)


def test_a_malformed_object_is_not_even_fetched(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, host: GitHost, tmp_path: Path
) -> None:
    blob = shop.git("rev-parse", "HEAD:README.md")
    content = b"100644 ..\0" + bytes.fromhex(blob)
    (tmp_path / "tree").write_bytes(content)
    tree = shop.git("hash-object", "--literally", "-t", "tree", "-w", str(tmp_path / "tree"))
    commit = shop.git("commit-tree", "-m", "escape", tree)
    git("fetch", "--quiet", str(shop.directory), f"{commit}:refs/heads/evil", at=host.path("shop"),
        config={"uploadpack.allowAnySHA1InWant": "true", "safe.directory": "*"})  # fmt: skip
    with pytest.raises(Permanent, match="malformed or dangerous"):
        mirrors.fetch(access, ["refs/heads/evil"])


@pytest.mark.covers("REPO-08")
def test_a_large_repository_is_mirrored_without_its_contents(
    make_mirrors: MakeMirrors, access: RepositoryAccess, shop: WorkTree, host: GitHost
) -> None:
    for number in range(3):
        shop.commit("bulk", {f"media/{number}.bin": os.urandom(400_000), "app/web.yaml": f"v: {number}\n"})
    shop.push()
    mirrors = make_mirrors(partial_above=100_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("driftline.adapters.git.processes._LOOK_EVERY", 0.001)
        fetched = mirrors.fetch(access, ["HEAD"])
    state = next(iter(mirrors._mirrors.values())).state()
    assert state.partial and state.complete
    tree = mirrors.tree(access, fetched.head)
    assert len(tree.list("media")) == 3, "names need no contents"
    asked = len(host.requests)
    contents = tree.read(["app/web.yaml", "README.md"])
    assert contents["app/web.yaml"] == b"v: 2\n"
    assert len(host.requests) - asked <= 3, "all that is missing comes in one fetch"
    asked = len(host.requests)
    assert tree.read(["app/web.yaml", "README.md"]) == contents
    assert len(host.requests) == asked
    newer = shop.commit("push", {"app/web.yaml": "v: 3\n", "app/db.yaml": "d: 1\n"})
    shop.push()
    mirrors.fetch(access, ["HEAD"])
    asked = len(host.requests)
    assert mirrors.tree(access, newer).read(["app/web.yaml", "app/db.yaml"])["app/web.yaml"] == b"v: 3\n"
    assert len(host.requests) == asked, "a push brings its new contents along"
    mirror = next(iter(mirrors._mirrors.values()))
    assert mirror.size() < 400_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("driftline.adapters.git.housekeeping.due", lambda _: True)
        report = mirrors.housekeeping()
    assert report.collected and not report.damaged and not report.failed
    assert mirrors.tree(access, newer).read(["app/web.yaml"])
