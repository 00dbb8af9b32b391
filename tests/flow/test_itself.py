"""An app of apps that contains its own Application."""

import json
from typing import Any

import pytest

from driftline.flow import operate
from driftline.model.objects import Object
from tests.flow.installation import Installation, config, manifests
from tests.kit.cluster import eventually, random_name


def _document(here: Installation, name: str, path: str, **spec: Any) -> Object:
    return here.document(name, path, automated={"prune": True, "selfHeal": True}, **spec)


@pytest.mark.covers("OBJ-19")
def test_an_application_that_declares_itself_follows_git_and_never_prunes_itself(here: Installation) -> None:
    root, part = random_name("root"), random_name("part")
    first, child = _document(here, root, "apps"), _document(here, part, "part")
    here.push({"apps/root.json": json.dumps(first), "apps/part.json": json.dumps(child)})
    here.push({"part/cm.yaml": manifests(config("one", a="1"))})
    here.declare(root, "apps")
    here.hurry(3)
    assert here.status(root) == ("Synced", "Healthy") and here.status(part) == ("Synced", "Healthy")
    assert here.app(root).parent_id is None and here.app(part).parent_id == here.app(root).id
    before = len(here.syncs(root))
    here.look(root, fresh=True)
    here.hurry(2)
    assert len(here.syncs(root)) == before, "it does not sync itself for ever"

    changed = _document(here, root, "apps", info=[{"name": "owner", "value": "dana"}])
    here.push({"apps/root.json": json.dumps(changed)})
    here.fetch()
    here.hurry(3)
    assert here.app(root).document["spec"]["info"] == [{"name": "owner", "value": "dana"}]
    assert here.status(root) == ("Synced", "Healthy")
    generation = here.app(root).generation
    here.fetch()
    here.hurry(2)
    assert here.app(root).generation == generation

    here.push({"apps/root.json": None})
    here.fetch()
    here.hurry(3)
    assert not here.app(root).deleting and here.status(root) == ("Synced", "Healthy")
    assert here.config("one") is not None
    operate.remove(here.edges, root, "dana", cascade=True)

    def gone() -> bool:
        here.hurry(1)
        return here.find(root) is None

    eventually(gone, 20)
    assert here.find(part) is None and here.config("one") is None


def test_syncs_go_on_once_git_has_dropped_the_own_declaration(small: Installation) -> None:
    here, root = small, random_name("root")
    declaration = json.dumps(_document(here, root, "apps"))
    here.push({"apps/root.json": declaration, "apps/cm.yaml": manifests(config("one", a="1"))})
    here.declare(root, "apps")
    here.hurry(2)
    here.push({"apps/root.json": None})
    here.fetch()
    here.hurry(2)
    here.push({"apps/cm.yaml": manifests(config("one", a="2"))})
    here.fetch()
    here.hurry(2)
    one = here.config("one")
    assert one is not None and one["data"] == {"a": "2"}
    assert here.phases(root)[0] == ("git", "Succeeded") and here.status(root) == ("Synced", "Healthy")


def test_what_the_parent_says_of_a_child_counts_and_not_what_it_says_of_itself(small: Installation) -> None:
    here, child = small, random_name("child")
    same = json.dumps(_document(here, child, "child"))
    other = json.dumps(_document(here, child, "child", info=[{"name": "owner", "value": "dana"}]))
    here.push({"top/child.json": same, "child/self.json": same, "child/cm.yaml": manifests(config("one", a="1"))})
    top = here.declare(path="top")
    here.hurry(3)
    assert here.config("one") is not None and here.status(child) == ("Synced", "Healthy")
    generation = here.app(child).generation
    for path, expected in (("child/self.json", generation), ("top/child.json", generation + 1)):
        here.push({path: other})
        here.fetch()
        here.hurry(3)
        assert here.app(child).generation == expected, path
        assert here.status(child) == ("Synced", "Healthy") and here.status(top) == ("Synced", "Healthy")


def test_a_second_parent_of_a_child_is_told_of_the_first(here: Installation) -> None:
    child = json.dumps(here.document(random_name("child"), "part"))
    here.push(
        {"first/child.json": child, "second/child.json": child, "second/cm.yaml": manifests(config("two", a="1"))}
    )
    here.push({"part/cm.yaml": manifests(config("one", a="1"))})
    first = here.declare(path="first")
    here.hurry(2)
    second = here.declare(path="second")
    here.settle()
    assert here.config("two") is not None, "the rest of it is applied"
    assert f"belongs to application {first}" in here.syncs(second)[0].message
    assert here.quarantined() == []
