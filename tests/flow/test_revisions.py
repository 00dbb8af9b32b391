"""What a source may follow beside a branch: the beginning of a commit id, and versions under a prefix of their own."""

import hashlib
import itertools

import pytest

from driftline.flow import operate, receive
from driftline.flow.operate import SyncRequest
from driftline.model.push import Push, RefAction, RefChange
from tests.flow.installation import Installation, config, manifests
from tests.kit.githost import WorkTree, git


def one(here: Installation, value: str) -> dict[str, str]:
    return {"app/all.yaml": manifests(config("one", a=value))}


def shown(here: Installation) -> str:
    found = here.config("one")
    return str(found["data"]["a"]) if found else ""


@pytest.mark.covers("REV-01")
def test_the_beginning_of_a_commit_id_is_enough(here: Installation) -> None:
    first = here.push(one(here, "1"))
    here.push(one(here, "2"))
    name = here.declare(source={"repoURL": here.url, "path": "app", "targetRevision": first[:7]})
    here.settle()
    assert here.status(name) == ("Synced", "Healthy")
    assert here.app(name).revisions == [first] and shown(here) == "1"


@pytest.mark.covers("REV-01", "REV-05")
def test_a_sync_to_the_beginning_of_a_commit_id(small: Installation) -> None:
    first = small.push(one(small, "1"))
    small.push(one(small, "2"))
    name = small.declare(automated=None)
    small.tree.branch("side")
    aside = small.push(one(small, "aside"))
    small.settle()
    for commit, value in ((first, "1"), (aside, "aside")):
        operate.request_sync(small.edges, name, SyncRequest(revision=commit[:9]), "dana")
        small.settle()
        assert small.syncs(name)[0].revisions == [commit] and shown(small) == value


def test_another_machine_that_did_not_fetch_asks_for_the_short_id_itself(small: Installation) -> None:
    first = small.push(one(small, "1"))
    name = small.declare(source={"repoURL": small.url, "path": "app", "targetRevision": first[:8]})
    small.settle(rounds=1)
    here = small.edges
    small.edges = small.more_edges()
    other = type(here.mirrors)(small.folder / "another", here.mirrors.settings)
    object.__setattr__(small.edges, "mirrors", other)
    small.look(name)
    small.settle()
    assert small.status(name) == ("Synced", "Healthy") and small.app(name).revisions == [first]
    here.close()


def test_a_short_id_of_no_commit_or_of_several_says_what_to_do(small: Installation) -> None:
    small.push(one(small, "1"))
    unknown = small.declare(source={"repoURL": small.url, "path": "app", "targetRevision": "0123456"})
    short = _twins(small.tree)
    several = small.declare(source={"repoURL": small.url, "path": "app", "targetRevision": short})
    small.settle()
    said = small.conditions(unknown)["ComparisonError"]
    assert small.url in said and "'0123456'" in said and "write the whole id" in said
    said = small.conditions(several)["ComparisonError"]
    assert small.url in said and f"'{short}'" in said and "ambiguous" in said and "write more of it" in said


def _twins(tree: WorkTree) -> str:
    """Push two commits whose ids begin with the same seven digits; return those."""
    root = tree.git("rev-parse", "HEAD^{tree}")
    people = "".join(f"{who} Dana <dana@example.test> 1700000000 +0000\n" for who in ("author", "committer"))
    seen: dict[str, str] = {}
    for number in itertools.count():
        content = f"tree {root}\n{people}\n{number}\n"
        short = hashlib.sha1(f"commit {len(content)}\0{content}".encode()).hexdigest()[:7]
        if short in seen:
            break
        seen[short] = content
    for branch, text in (("one", seen[short]), ("two", content)):
        commit = git("hash-object", "-w", "-t", "commit", "--stdin", at=tree.directory, stdin=text)
        tree.push(f"{commit}:refs/heads/{branch}")
    return short


@pytest.mark.covers("REV-03", "WH-04")
def test_a_pushed_tag_under_a_prefix_is_followed_at_once(here: Installation) -> None:
    def tag(name: str) -> int:
        here.tree.tag(name)
        here.tree.push(name)
        change = RefChange(f"refs/tags/{name}", RefAction.CREATED)
        push = Push("github", "push", name, (here.url,), (change,), "main")
        return len(receive.receive(here.edges, push).job_ids)

    here.push(one(here, "1"))
    tag("web-1.0.0")
    here.push(one(here, "2"))
    tag("web-2.0.0")
    source = {"repoURL": here.url, "path": "app", "targetRevision": "1.x", "tagPrefix": "web-"}
    name = here.declare(source=source)
    here.settle()
    assert here.status(name) == ("Synced", "Healthy") and shown(here) == "1"
    commit = here.push(one(here, "3"))
    assert tag("api-1.9.0") == 0 and tag("web-3.0.0") == 0, "none of them is in the range"
    assert tag("web-1.1.0") == 1
    here.settle()
    assert here.app(name).revisions == [commit] and shown(here) == "3"
