"""What a worker stores and what a watch records meanwhile never wait for each other in a circle."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from driftline.adapters.store import clusters, live
from driftline.adapters.store.errors import translate
from driftline.flow import observe
from driftline.model.objects import Key, Object
from tests.flow.installation import Installation, config, manifests


class Pause:
    """Stops the first call of a function, before or after it is carried out, for as long as somebody else needs."""

    def __init__(self, meanwhile: Callable[[], None], after: bool) -> None:
        self.meanwhile, self.after = meanwhile, after
        self.used = False

    def __call__(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def paused(*values: Any, **named: Any) -> Any:
            # Only the worker's own call is stopped, and only once; the watch's goes through.
            mine = threading.current_thread().name != "watch" and not self.used
            if mine and not self.after:
                self.stop()
            found = real(*values, **named)
            if mine and self.after:
                self.stop()
            return found

        return paused

    def stop(self) -> None:
        self.used = True
        other = threading.Thread(target=self.meanwhile, name="watch")
        other.start()
        # Either it is done, or it waits for us in the database: then we go on, and it does after us.
        other.join(0.5)


@pytest.mark.parametrize("after", [False, True], ids=["before-live", "after-live"])
def test_a_plan_is_stored_while_a_watch_records_the_same_objects(
    here: Installation, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    here.push({"app/all.yaml": manifests(config("one", a="1"), config("two", a="1"))})
    name = here.declare()
    here.settle()
    assert here.status(name) == ("Synced", "Healthy")
    with here.store.read() as db:
        [row] = clusters.everything(db)
    bodies: list[tuple[Key, Object]] = []
    for each in ("one", "two"):
        here.hands.merge_patch("v1/configmaps", here.namespace, each, {"data": {"a": "by hand"}})
        body = here.config(each)
        assert body is not None
        bodies.append((Key("", "ConfigMap", here.namespace, each), body))
    troubles: list[object] = []

    def noted(error: Any, where: str) -> Any:
        troubles.append(error)
        return translate(error, where)

    monkeypatch.setattr("driftline.adapters.store.engine.translate", noted)
    watch = here.more_edges()
    pause = Pause(lambda: void(observe.observe(watch, row, [observe.Seen(key, body) for key, body in bodies])), after)
    for function in ("note_many", "upsert_many"):
        if hasattr(live, function):
            monkeypatch.setattr(live, function, pause(getattr(live, function)))
    here.look(name, fresh=True)
    here.hurry(3)
    watch.close()
    assert pause.used and troubles == []
    for each in ("one", "two"):
        found = here.config(each)
        assert found is not None and found["data"] == {"a": "1"}
    assert here.phases(name)[0] == ("self-heal", "Succeeded")


def void(found: object) -> None:
    """Let a result go."""
