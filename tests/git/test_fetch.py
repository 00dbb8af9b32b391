"""What a fetch brings and what it says has changed."""

import subprocess
import threading
from pathlib import Path

import pytest

from driftline.adapters.git import Mirrors, RefUpdate
from driftline.desired.revision import resolve, wanted_refs
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent
from tests.git.conftest import MAIN, MakeMirrors
from tests.kit.githost import GitHost, WorkTree, git


def test_a_push_is_one_fetch_of_one_ref(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shop.git("rev-parse", "HEAD")
    shop.branch("other")
    shop.commit("elsewhere")
    shop.push()
    assert mirrors.fetch(access, [MAIN]).updates == (RefUpdate(MAIN, "", first),)
    mirrors.tree(access, first)
    shop.branch("main")
    second = shop.commit("second", {"app/web.yaml": "kind: Deployment\n"})
    shop.push()
    started = count_processes(monkeypatch)
    fetched = mirrors.fetch(access, [MAIN])
    assert fetched.updates == (RefUpdate(MAIN, first, second),)
    assert fetched.refs == {MAIN: second}
    assert mirrors.tree(access, second).read(["app/web.yaml"]) == {"app/web.yaml": b"kind: Deployment\n"}
    assert [argv[-3:] for argv in started] == [["--end-of-options", "origin", f"+{MAIN}:{MAIN}"]]


def count_processes(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines of all git processes that the adapter starts from now on; the host's own are left out."""
    started: list[list[str]] = []
    original = subprocess.Popen.__init__

    def init(self: "subprocess.Popen[bytes]", args: list[str], *rest: object, **named: object) -> None:
        if "--no-replace-objects" in args:
            started.append(list(args))
        original(self, args, *rest, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess.Popen, "__init__", init)
    return started


def test_head_names_the_default_branch_and_follows_it(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, host: GitHost
) -> None:
    first = shop.git("rev-parse", "HEAD")
    fetched = mirrors.fetch(access, wanted_refs("HEAD"))
    assert (fetched.head, fetched.default_branch) == (first, MAIN)
    second = shop.commit()
    shop.push()
    fetched = mirrors.fetch(access, ["HEAD"])
    assert fetched.head == second and fetched.updates == (RefUpdate(MAIN, first, second),)
    third = shop.commit()
    shop.push()
    assert mirrors.fetch(access, [MAIN]).head == third
    known = mirrors.known(access)
    assert known and known.head == third
    shop.branch("trunk")
    fourth = shop.commit()
    shop.push()
    git("symbolic-ref", "HEAD", "refs/heads/trunk", at=host.path("shop"))
    fetched = mirrors.fetch(access, ["HEAD"])
    assert (fetched.head, fetched.default_branch) == (fourth, "refs/heads/trunk")
    shop.push(":refs/heads/main")
    assert mirrors.fetch(access, ["HEAD"]).head == fourth


def test_branch_or_tag_is_found_in_one_question(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.tag("v1", annotated=True)
    shop.push("refs/tags/v1")
    commit = shop.git("rev-parse", "HEAD")
    mirrors.fetch(access, wanted_refs("main"))
    started = count_processes(monkeypatch)
    for revision, ref in (("v1", "refs/tags/v1"), ("main", MAIN)):
        fetched = mirrors.fetch(access, wanted_refs(revision))
        assert resolve(revision, fetched.refs, "").ref == ref
        assert resolve(revision, fetched.refs, "").commit == commit, "an annotated tag means its commit"
    assert mirrors.fetch(access, wanted_refs("nothing")).refs == {}
    assert len([argv for argv in started if "fetch" in argv]) == 3


@pytest.mark.covers("REV-02")
def test_a_version_range_takes_new_tags(mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree) -> None:
    commits = {}
    for name, annotated in (("v1.0.0", False), ("v1.1.0", True), ("v2.0.0", True), ("v1.2.0-rc.1", False)):
        commits[name] = shop.commit(name)
        shop.tag(name, annotated)
    shop.push("HEAD", "--tags")
    fetched = mirrors.fetch(access, wanted_refs("1.x"))
    assert resolve("1.x", fetched.refs, "").commit == commits["v1.1.0"]
    newer = shop.commit()
    shop.tag("v1.5.0")
    shop.push("refs/tags/v1.5.0")
    fetched = mirrors.fetch(access, wanted_refs("1.x"))
    assert [update.ref for update in fetched.updates] == ["refs/tags/v1.5.0"]
    assert resolve("1.x", fetched.refs, "").commit == newer
    shop.push(":refs/tags/v1.5.0")
    fetched = mirrors.fetch(access, wanted_refs("1.x"))
    assert fetched.updates == (RefUpdate("refs/tags/v1.5.0", newer, ""),)
    assert resolve("1.x", fetched.refs, "").commit == commits["v1.1.0"]


def test_a_force_push_is_taken_reported_and_the_old_commit_stays(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, make_mirrors: MakeMirrors
) -> None:
    old = shop.commit("doomed", {"app/web.yaml": "old\n"})
    shop.push()
    mirrors.fetch(access, [MAIN])
    new = shop.rewrite("replaced", {"app/web.yaml": "new\n"})
    shop.push(force=True)
    assert mirrors.fetch(access, [MAIN]).updates == (RefUpdate(MAIN, old, new, rewritten=True),)
    collect(mirrors, access)
    # A new reader: one that has the old pack open could still read what is gone.
    assert make_mirrors().tree(access, old).read(["app/web.yaml"])["app/web.yaml"] == b"old\n"


def collect(mirrors: Mirrors, access: RepositoryAccess) -> None:
    """Throw away whatever no ref leads to."""
    for directory in mirrors._root.glob("*.git"):
        git(f"--git-dir={directory}", "gc", "--quiet", "--prune=now")


def test_a_kept_commit_survives_until_it_is_let_go(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, make_mirrors: MakeMirrors
) -> None:
    shop.branch("pr")
    commit = shop.commit("deployed once", {"x.yaml": "1\n"})
    shop.push()
    mirrors.fetch(access, ["refs/heads/pr"])
    mirrors.keep(access, commit)
    mirrors.keep(access, commit)
    shop.push(":refs/heads/pr")
    mirrors.fetch(access, ["refs/heads/pr"])
    for rewritten in mirrors._root.glob("*.git/refs/rewritten/*"):
        rewritten.unlink()
    collect(mirrors, access)
    again = make_mirrors()
    assert again.contains(access, commit)
    again.unkeep(access, commit)
    again.unkeep(access, commit)
    collect(again, access)
    assert not make_mirrors().contains(access, commit)
    with pytest.raises(Permanent, match="no commit"):
        again.keep(access, "e" * 40)


def test_a_deleted_branch_is_forgotten_only_when_the_host_says_so(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree
) -> None:
    shop.branch("feature")
    commit = shop.commit()
    shop.push()
    mirrors.fetch(access, ["refs/heads/feature", MAIN])
    shop.push(":refs/heads/feature")
    mirrors.fetch(access, [MAIN])
    known = mirrors.known(access)
    assert known and "refs/heads/feature" in known.refs, "nobody asked the host about it"
    fetched = mirrors.fetch(access, ["refs/heads/feature", MAIN])
    assert fetched.updates == (RefUpdate("refs/heads/feature", commit, ""),)
    assert set(fetched.refs) == {MAIN}
    known = mirrors.known(access)
    assert known and "refs/heads/feature" not in known.refs


def test_a_moved_tag_is_an_event(mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree) -> None:
    old = shop.git("rev-parse", "HEAD")
    shop.tag("stable", annotated=True)
    shop.push("refs/tags/stable")
    mirrors.fetch(access, ["refs/tags/stable"])
    new = shop.commit()
    shop.tag("stable", annotated=True, move=True)
    shop.push("refs/tags/stable", force=True)
    assert mirrors.fetch(access, ["refs/tags/*"]).updates == (RefUpdate("refs/tags/stable", old, new, rewritten=True),)


def test_a_branch_may_take_the_place_of_a_folder_of_branches(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree
) -> None:
    shop.push("HEAD:refs/heads/release")
    mirrors.fetch(access, ["refs/heads/release"])
    shop.push(":refs/heads/release")
    shop.push("HEAD:refs/heads/release/1", "HEAD:refs/heads/release/2")
    assert set(mirrors.fetch(access, ["refs/heads/release/1"]).refs) == {"refs/heads/release/1"}
    mirrors.fetch(access, ["refs/heads/release/2"])
    shop.push(":refs/heads/release/1", ":refs/heads/release/2")
    shop.push("HEAD:refs/heads/release")
    assert set(mirrors.fetch(access, ["refs/heads/release"]).refs) == {"refs/heads/release"}


def test_an_empty_repository_is_no_error(mirrors: Mirrors, host: GitHost, tmp_path: Path) -> None:
    access = RepositoryAccess(host.create("empty"))
    assert mirrors.check(access).head == ""
    fetched = mirrors.fetch(access, ["HEAD", *wanted_refs("main"), "refs/tags/*"])
    assert (fetched.refs, fetched.head, fetched.updates) == ({}, "", ())
    with pytest.raises(Permanent, match="no commits"):
        resolve("HEAD", fetched.refs, fetched.head)
    tree = host.checkout("empty", tmp_path / "later")
    commit = tree.commit("at last", {"a.yaml": "a: 1\n"})
    tree.push()
    assert mirrors.fetch(access, ["HEAD"]).head == commit


def test_a_commit_id_needs_no_ref_and_no_second_question(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, host: GitHost
) -> None:
    first = shop.git("rev-parse", "HEAD")
    shop.commit()
    shop.push()
    mirrors.fetch(access, wanted_refs(first))
    assert mirrors.contains(access, first)
    asked = len(host.requests)
    mirrors.fetch(access, wanted_refs(first))
    assert len(host.requests) == asked
    assert mirrors.complete(access, first[:9]) == first
    assert mirrors.complete(access, "0" * 9) is None
    shop.push(f"HEAD:refs/heads/{'0' * 9}")
    mirrors.fetch(access, ["refs/heads/*"])
    assert mirrors.complete(access, "0" * 9) is None, "a branch of that name is no commit that begins so"
    mirrors.fetch(access, ["e" * 40])
    assert not mirrors.contains(access, "e" * 40)


def test_nothing_changed_is_said_so(mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree) -> None:
    before = mirrors.fetch(access, ["HEAD", "refs/heads/*", "refs/tags/*"])
    after = mirrors.fetch(access, ["HEAD", "refs/heads/*", "refs/tags/*"])
    assert after.updates == () and after.refs == before.refs
    assert mirrors.known(access) == after


def test_known_asks_nobody(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, host: GitHost, make_mirrors: MakeMirrors
) -> None:
    assert mirrors.known(access) is None
    mirrors.fetch(access, ["HEAD"])
    host.stop()
    known = make_mirrors().known(access)
    assert known and known.refs == {MAIN: shop.git("rev-parse", "HEAD")} and known.default_branch == MAIN


def test_who_waits_shares_the_next_fetch(access: RepositoryAccess, shop: WorkTree, make_mirrors: MakeMirrors) -> None:
    make_mirrors().fetch(access, [MAIN])
    commit = shop.commit()
    shop.push()
    updates: list[RefUpdate] = []
    heads: list[str] = []

    def fetch() -> None:
        fetched = make_mirrors().fetch(access, [MAIN])
        updates.extend(fetched.updates)
        heads.append(fetched.refs[MAIN])

    threads = [threading.Thread(target=fetch) for _ in range(6)]
    with pytest.MonkeyPatch.context() as patch:
        started = count_processes(patch)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        fetches = [argv for argv in started if "fetch" in argv]
    assert heads == [commit] * 6, "everybody sees the commit"
    assert len(updates) == 1, "one of them reports it"
    assert len(fetches) <= 3, "one was under way, one served those who waited"


def test_another_credential_is_another_mirror(mirrors: Mirrors, host: GitHost, shop: WorkTree) -> None:
    url = host.url("shop")
    mirrors.fetch(RepositoryAccess(url, username="a", password="one"), [MAIN])
    assert mirrors.known(RepositoryAccess(url, username="b", password="two")) is None
    assert mirrors.known(RepositoryAccess(url)) is None
    spelled = RepositoryAccess(url.removesuffix(".git"), username="a", password="one", identity="team")
    mirrors.fetch(RepositoryAccess(url, username="a", password="one", identity="team"), [MAIN])
    assert mirrors.known(spelled) is not None
    renewed = RepositoryAccess(url, username="a", password="renewed", identity="team")
    assert mirrors.known(renewed) is not None, "a renewed token finds the mirror again"


def test_thousands_of_refs(mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, host: GitHost) -> None:
    commit = shop.git("rev-parse", "HEAD")
    lines = "".join(f"create refs/tags/v1.{number}.0 {commit}\n" for number in range(2000))
    git("update-ref", "--stdin", at=host.path("shop"), stdin=lines)
    fetched = mirrors.fetch(access, [MAIN])
    assert set(fetched.refs) == {MAIN}
    fetched = mirrors.fetch(access, ["refs/tags/*"])
    assert len(fetched.refs) == 2000
    assert resolve("*", fetched.refs, "").ref == "refs/tags/v1.1999.0"
    loose = [path for path in mirrors._root.glob("*.git/refs/tags/*") if path.is_file()]
    assert len(loose) < 100, "they are packed into one file"


def test_a_sha256_repository(mirrors: Mirrors, host: GitHost, tmp_path: Path) -> None:
    git("init", "--quiet", "--bare", "--object-format=sha256", "--initial-branch=main", "--", str(host.path("new")))
    directory = tmp_path / "new"
    git("init", "--quiet", "--object-format=sha256", "--initial-branch=main", "--", str(directory))
    tree = WorkTree(directory)
    tree.git("remote", "add", "origin", host.url("new"))
    commit = tree.commit("modern", {"a/b.yaml": "x: 1\n"})
    tree.push()
    access = RepositoryAccess(host.url("new"))
    assert mirrors.fetch(access, ["HEAD"]).head == commit and len(commit) == 64
    assert mirrors.tree(access, commit).read(["a/b.yaml"]) == {"a/b.yaml": b"x: 1\n"}


@pytest.mark.parametrize(
    "ref", ["main", "-x", "refs/heads/-x ", "+refs/heads/main:refs/x", "refs/heads/a..b", "refs/", "refs/*", ""]
)
def test_only_full_refs_are_fetched(mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, ref: str) -> None:
    with pytest.raises(Permanent, match="no full ref"):
        mirrors.fetch(access, [ref])


@pytest.mark.parametrize("ref", ["refs/driftline/HEAD", "refs/keep/*", "refs/rewritten/1"])
def test_a_host_cannot_write_into_our_own_names(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, ref: str
) -> None:
    with pytest.raises(Permanent, match="use themselves"):
        mirrors.fetch(access, [ref])
