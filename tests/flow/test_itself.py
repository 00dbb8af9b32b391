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
