"""`app diff` and `app plan --local`: a checkout against a real cluster, with neither server nor database."""

from pathlib import Path

import pytest
import yaml

from deploy.localcluster.localcluster import LocalCluster
from driftline.model.marks import MANAGER, Marks
from driftline.model.objects import Object
from tests.cli.conftest import Ran, run
from tests.kit.cluster import hands, new_namespace, shared_cluster

INSTALLATION = "b" * 26


def config(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


class Checkout:
    """An application's repository on disk, and its namespace in the cluster."""

    def __init__(self, directory: Path, cluster: LocalCluster) -> None:
        self.cluster = cluster
        self.namespace = new_namespace(cluster, "local")
        self.root = directory / "repo"
        (self.root / "deploy" / "app").mkdir(parents=True)
        self.app = directory / "app.yaml"
        source = {"repoURL": "https://git.example/a.git", "path": "deploy/app"}
        destination = {"server": "https://kubernetes.default.svc", "namespace": self.namespace}
        self.app.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "argoproj.io/v1alpha1",
                    "kind": "Application",
                    "metadata": {"name": self.namespace},
                    "spec": {"source": source, "destination": destination},
                }
            )
        )
        self.kubeconfig = directory / "kubeconfig"
        self.kubeconfig.write_text(cluster.kubeconfig("driftline"))

    def holds(self, *objects: Object) -> None:
        """What the checkout has."""
        (self.root / "deploy" / "app" / "all.yaml").write_text(yaml.safe_dump_all(objects))

    def runs(self, *objects: Object) -> None:
        """What the cluster has, applied by an installation for this application."""
        marks = Marks(INSTALLATION, self.namespace)
        for body in objects:
            placed = {**body, "metadata": {**body["metadata"], "namespace": self.namespace}}
            hands(self.cluster, "driftline").apply("v1/configmaps", self.namespace, marks.stamp(placed), MANAGER)

    def ask(self, what: str, *words: str, at: Path | None = None) -> Ran:
        local = ("--local", str(at or self.root), "--kubeconfig", str(self.kubeconfig))
        return run("app", what, str(self.app), *local, *words, "--server", "http://127.0.0.1:9")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path, shared_cluster())


@pytest.mark.covers("CLI-03")
def test_a_change_in_the_checkout_is_shown_before_it_is_pushed(checkout: Checkout) -> None:
    checkout.holds(config("conf", colour="blue"), config("more", size="1"))
    checkout.runs(config("conf", colour="red"))
    planned = checkout.ask("plan")
    assert planned.code == 2, planned.err
    assert sorted(planned.out.splitlines()) == [
        f"1 create ConfigMap/{checkout.namespace}/more",
        f"1 update ConfigMap/{checkout.namespace}/conf",
    ]
    different = checkout.ask("diff")
    assert different.code == 2
    assert "-  colour: red" in different.out and "+  colour: blue" in different.out and "missing" in different.out


def test_a_checkout_that_is_deployed_differs_in_nothing(checkout: Checkout) -> None:
    checkout.holds(config("conf", colour="red"))
    checkout.runs(config("conf", colour="red"))
    same = checkout.ask("diff")
    assert (same.code, same.out) == (0, ""), same.err
    planned = checkout.ask("plan")
    assert (planned.code, planned.out) == (0, "nothing to do\n")
    # The application's own directory will do as well as the repository's root.
    assert checkout.ask("diff", at=checkout.root / "deploy" / "app").code == 0


def test_what_the_checkout_dropped_would_be_deleted_only_when_asked(checkout: Checkout) -> None:
    checkout.holds(config("conf", colour="red"))
    checkout.runs(config("conf", colour="red"), config("old", size="1"))
    assert "extra" in checkout.ask("diff").out
    kept = checkout.ask("plan")
    assert "skipped prune" in kept.out and "prune ConfigMap" in kept.out
    assert checkout.ask("plan", "--prune").out == f"1 prune ConfigMap/{checkout.namespace}/old\n"


def test_what_somebody_else_made_would_be_adopted(checkout: Checkout) -> None:
    checkout.holds(config("conf", colour="red"))
    hands(checkout.cluster).create("v1/configmaps", checkout.namespace, config("conf", colour="red"))
    planned = checkout.ask("plan")
    assert planned.code == 2 and planned.out == f"1 adopt ConfigMap/{checkout.namespace}/conf\n"


def test_nothing_is_written_and_nothing_left_behind(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = checkout.root.parent / "somewhere"
    empty.mkdir()
    monkeypatch.chdir(empty)
    checkout.holds(config("conf", colour="blue"))
    checkout.runs(config("conf", colour="red"))
    mark = checkout.cluster.audit_mark()
    assert checkout.ask("plan").code == 2
    writes = [
        call
        for call in checkout.cluster.audit(mark)
        if call.verb in ("create", "update", "patch", "delete")
        and call.namespace == checkout.namespace
        and not call.dry_run
    ]
    assert writes == []
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [("apiVersion: v1\nkind: ConfigMap\nmetadata: [1", "line 3"), ("kind: ConfigMap\n", "apiVersion")],
)
def test_a_checkout_that_is_wrong_is_named(checkout: Checkout, content: str, words: str) -> None:
    (checkout.root / "deploy" / "app" / "all.yaml").write_text(content)
    found = checkout.ask("plan")
    assert found.code != 0 and words in found.out + found.err


def test_a_directory_without_the_application_is_named(checkout: Checkout, tmp_path: Path) -> None:
    found = checkout.ask("plan", at=tmp_path)
    assert found.code == 1 and "has no directory deploy/app" in found.err
