"""Charts in Git whose dependencies are elsewhere: locked by the real Helm, pulled by us, rendered without network."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftline.access.projects import Project
from driftline.adapters.charts import Charts, ChartSettings
from driftline.adapters.render.local import DirectoryTree
from driftline.adapters.render.renderers import Renderers
from driftline.adapters.render.request import Rendered
from driftline.adapters.settings import Settings
from driftline.adapters.store import repositories
from driftline.adapters.store.engine import Store
from driftline.adapters.store.repositories import NewRepository
from driftline.desired.dependencies import Need
from driftline.desired.urls import normalise
from driftline.flow import dependencies
from driftline.flow.access import seal_repository
from driftline.flow.assemble import make_edges
from driftline.flow.dependencies import Cold, Pantry
from driftline.flow.edges import Edges
from driftline.model.access import RepositoryAccess
from driftline.model.application import Application, Destination, HelmOptions
from driftline.model.errors import Permanent, Temporary
from tests.kit.charthost import PASSWORD, USER, ChartHost, RegistryHost, basic, helm, package, write_chart
from tests.kit.databases import (
    postgres_server,
    postgres_shared,
    postgres_store,
    sqlite_store,
    sqlite_template,
    store,
)
from tests.kit.rendering import names, request
from tests.render.conftest import renderers, settings

__all__ = [
    "postgres_server",
    "postgres_shared",
    "postgres_store",
    "renderers",
    "settings",
    "sqlite_store",
    "sqlite_template",
    "store",
]
SHOP = Application("shop", Destination(name="in-cluster"), ())


@dataclass
class Kitchen:
    """A chart `app` in a directory, and what supplies its dependencies."""

    root: Path
    edges: Edges
    renderers: Renderers

    def chart(self, *dependencies: dict[str, str], lock: bool = False, **more: Any) -> None:
        folder = write_chart(self.root, "app", "1.0.0", dependencies=list(dependencies), **more)
        if lock:
            helm("dependency", "update", str(folder), "--plain-http")
            for archive in (folder / "charts").iterdir():
                archive.unlink()

    def register(self, access: RepositoryAccess, **options: str) -> None:
        """Register a repository as a person would."""
        hook_id = repositories.new_hook_id()
        credentials, kept = seal_repository(self.edges, access, hook_id)
        new = NewRepository(access.url, normalise(access.url), "", access.kind, False, {**kept, **options}, credentials)
        self.edges.store.transact(lambda db: repositories.save(db, new, hook_id))

    def pantry(self, fast: bool = False) -> Pantry:
        return Pantry(self.edges, SHOP, fast)

    def render(self, fast: bool = False, **values: Any) -> Rendered:
        options = HelmOptions(values_object=values) if values else HelmOptions()
        asked = request(DirectoryTree(self.root), helm=options)
        return self.renderers.render(replace(asked, charts=self.pantry(fast)))

    def key(self) -> str:
        asked = replace(request(DirectoryTree(self.root)), charts=self.pantry(fast=True))
        return self.renderers.inputs(asked).key


@pytest.fixture
def kitchen(sqlite_store: Store, renderers: Renderers, tmp_path: Path) -> Iterator[Kitchen]:
    yield from _kitchen(sqlite_store, renderers, tmp_path)


@pytest.fixture
def anywhere(store: Store, renderers: Renderers, tmp_path: Path) -> Iterator[Kitchen]:
    """On SQLite, and again on PostgreSQL."""
    yield from _kitchen(store, renderers, tmp_path)


def _kitchen(store: Store, renderers: Renderers, tmp_path: Path) -> Iterator[Kitchen]:
    edges = replace(make_edges(Settings(data_dir=tmp_path / "data", chart_private_addresses=True)), store=store)
    yield Kitchen(tmp_path / "git", edges, renderers)
    edges.charts.close()


def on(host: ChartHost, name: str = "redis", version: str = "1.x", **more: str) -> dict[str, str]:
    return {"name": name, "version": version, "repository": host.repository, **more}


def versions(rendered: Rendered) -> dict[str, str]:
    """The version of each chart that made a ConfigMap."""
    return {body["metadata"]["name"]: body["data"]["version"] for body in rendered.objects}


@pytest.mark.covers("GEN-06")
def test_a_lock_by_helm_pins_its_versions(kitchen: Kitchen, host: ChartHost) -> None:
    host.publish("redis", "1.0.0")
    kitchen.chart(on(host), lock=True)
    host.publish("redis", "1.1.0")
    found = kitchen.render()
    assert versions(found) == {"shop-app": "1.0.0", "shop-redis": "1.0.0"} and found.warnings == ()


@pytest.mark.covers("GEN-06")
def test_without_a_lock_the_highest_version_that_fits_is_taken_and_stays(kitchen: Kitchen, host: ChartHost) -> None:
    for version in ("1.0.0", "1.1.0", "2.0.0", "1.2.0-rc.1"):
        host.publish("redis", version)
    kitchen.chart(on(host))
    found = kitchen.render()
    assert versions(found)["shop-redis"] == "1.1.0"
    assert found.warnings == (
        "app/Chart.yaml: dependency redis: version 1.x is not pinned; commit the lock file beside it",
    )
    host.publish("redis", "1.9.0")
    asked = len(host.requests)
    assert versions(kitchen.render())["shop-redis"] == "1.1.0" and len(host.requests) == asked


def test_a_hard_refresh_looks_for_the_highest_version_again(kitchen: Kitchen, host: ChartHost) -> None:
    host.publish("redis", "1.0.0")
    kitchen.chart(on(host))
    kitchen.render()
    host.publish("redis", "1.1.0")
    asked = request(DirectoryTree(kitchen.root))
    anew = replace(asked, charts=Pantry(kitchen.edges, SHOP, fast=False, anew=True))
    key = kitchen.renderers.inputs(anew).key
    host.publish("redis", "1.2.0")
    found = kitchen.renderers.render(anew)
    assert versions(found)["shop-redis"] == "1.1.0" and found.inputs.key == key
    assert kitchen.key() == key and versions(kitchen.render())["shop-redis"] == "1.1.0"


def test_a_lock_that_helm_made_for_other_dependencies_is_not_used(kitchen: Kitchen, host: ChartHost) -> None:
    host.publish("redis", "1.0.0")
    kitchen.chart(on(host), lock=True)
    host.publish("redis", "1.1.0")
    kitchen.chart(on(host, version=">=1.0.0 <2.0.0"))
    found = kitchen.render()
    assert versions(found)["shop-redis"] == "1.1.0"
    assert found.warnings[0].startswith("app/Chart.lock: was made for other dependencies")
    kitchen.chart(on(host, version=">=1.0.0 <2.0.0"), lock=True)
    host.publish("redis", "1.2.0")
    found = kitchen.render()
    assert versions(found)["shop-redis"] == "1.1.0" and found.warnings == ()


def test_alias_condition_and_import_values(kitchen: Kitchen, host: ChartHost) -> None:
    host.publish("redis", "1.0.0")
    host.publish("redis", "1.1.0")
    host.publish("extra", "1.0.0")
    rows: list[dict[str, Any]] = [
        on(host, version="1.0.0", alias="old"),
        on(host, version="1.1.0", alias="new"),
        {
            **on(host, "extra", "1.0.0", condition="extra.enabled"),
            "tags": ["more"],
            "import-values": [{"parent": "a", "child": "b"}],
        },
    ]
    kitchen.chart(*rows, lock=True)
    found = kitchen.render(extra={"enabled": False})
    assert versions(found) == {"shop-app": "1.0.0", "shop-old": "1.0.0", "shop-new": "1.1.0"} and not found.warnings
    assert "shop-extra" in versions(kitchen.render(extra={"enabled": True}))


def test_dependencies_of_version_one_charts(kitchen: Kitchen, host: ChartHost) -> None:
    host.publish("redis", "1.0.0")
    kitchen.chart(files={"requirements.yaml": yaml.safe_dump({"dependencies": [on(host)]})}, apiVersion="v1")
    chart = kitchen.root / "app" / "Chart.yaml"
    chart.write_text("apiVersion: v1\nname: app\nversion: 1.0.0\n")
    helm("dependency", "update", str(kitchen.root / "app"))
    for archive in (kitchen.root / "app" / "charts").iterdir():
        archive.unlink()
    found = kitchen.render()
    assert versions(found)["shop-redis"] == "1.0.0" and found.warnings == ()


@pytest.mark.covers("REPO-10")
def test_credentials_of_the_longest_registered_url_are_used_and_nobody_elses(anywhere: Kitchen, tmp_path: Path) -> None:
    with ChartHost(tmp_path / "private", login=basic()) as private, ChartHost(tmp_path / "public") as public:
        private.publish("redis", "1.0.0")
        public.publish("web", "1.0.0")
        root = private.url
        anywhere.register(RepositoryAccess(root, kind="helm", username="root", password="wrong"))
        anywhere.register(RepositoryAccess(f"{root}/char", kind="helm", username="prefix", password="wrong"))
        anywhere.register(RepositoryAccess(private.repository, kind="helm", username=USER, password=PASSWORD))
        anywhere.chart(on(private), on(public, "web"))
        assert set(versions(anywhere.render())) == {"shop-app", "shop-redis", "shop-web"}
        assert private.authorizations() == {basic()} and public.authorizations() == {""}


def test_a_project_lends_only_the_credentials_of_its_own_sources(
    kitchen: Kitchen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChartHost(tmp_path / "private", login=basic()) as private:
        private.publish("redis", "1.0.0")
        kitchen.register(
            RepositoryAccess(private.repository, kind="helm", username=USER, password=PASSWORD), name="ours"
        )
        kitchen.chart(on(private))
        team = Project("default", source_repos=("https://git.example/team/*",))
        monkeypatch.setattr(dependencies, "project_of", lambda *_: team)
        with pytest.raises(Permanent, match="authentication failed"):
            kitchen.render()
        assert private.authorizations() == {""}
        kitchen.chart({"name": "redis", "version": "1.0.0", "repository": "@ours"})
        with pytest.raises(Permanent, match="no repository of the name 'ours' is registered for project"):
            kitchen.render()


def test_a_registered_name_stands_for_its_url(kitchen: Kitchen, host: ChartHost) -> None:
    host.publish("redis", "1.0.0")
    kitchen.register(RepositoryAccess(host.repository, kind="helm"), name="stable")
    for spelled in ("@stable", "alias:stable"):
        kitchen.chart({"name": "redis", "version": "1.0.0", "repository": spelled})
        assert versions(kitchen.render())["shop-redis"] == "1.0.0"
    kitchen.chart({"name": "redis", "version": "1.0.0", "repository": "@other"})
    with pytest.raises(Permanent, match=r"^app/Chart\.yaml: dependency redis: no repository of the name 'other'"):
        kitchen.render()


@pytest.mark.covers("REPO-10")
def test_dependencies_in_registries(kitchen: Kitchen, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    with RegistryHost(storage) as door, RegistryHost.with_login(storage) as host:
        for version in ("1.0.0", "1.1.0"):
            door.push(package(tmp_path, "redis", version))
        access = RepositoryAccess(
            f"{host.address}/charts", kind="oci", plain_http=True, username=USER, password=PASSWORD
        )
        kitchen.register(access)
        kitchen.chart({"name": "redis", "version": "~1.1.0", "repository": f"oci://{host.address}/charts"})
        assert versions(kitchen.render())["shop-redis"] == "1.1.0"


def test_what_nobody_registered_comes_from_outside_only(kitchen: Kitchen, host: ChartHost) -> None:
    host.publish("redis", "1.0.0")
    settings = replace(kitchen.edges.settings, chart_private_addresses=False)
    closed = replace(kitchen, edges=replace(kitchen.edges, settings=settings))
    closed.chart(on(host))
    with pytest.raises(Permanent, match=r"^app/Chart\.yaml: dependency redis: .*leads to an address inside"):
        closed.render()
    closed.register(RepositoryAccess(host.repository, kind="helm"))
    assert versions(closed.render())["shop-redis"] == "1.0.0"


def test_a_fast_worker_pulls_nothing(kitchen: Kitchen, host: ChartHost) -> None:
    host.publish("redis", "1.0.0")
    kitchen.chart(on(host))
    with pytest.raises(Cold, match=r"^app/Chart\.yaml: dependency redis: is pulled by a worker for slow work"):
        kitchen.render(fast=True)
    assert host.requests == []
    kitchen.render()
    assert versions(kitchen.render(fast=True))["shop-redis"] == "1.0.0"


def test_the_key_of_a_render_follows_its_dependencies(kitchen: Kitchen, host: ChartHost) -> None:
    host.publish("redis", "1.0.0")
    host.publish("redis", "1.1.0")
    kitchen.chart(on(host))
    kitchen.render()
    before = kitchen.key()
    assert kitchen.key() == before
    charts = kitchen.edges.charts
    access = RepositoryAccess(host.repository, kind="helm", public_only=False)
    host.publish("redis", "1.2.0")
    charts.choose(access, "redis", "1.x")
    assert kitchen.key() != before and versions(kitchen.render())["shop-redis"] == "1.2.0"


def test_a_host_that_is_away_is_temporary_and_what_is_here_serves(kitchen: Kitchen, host: ChartHost) -> None:
    host.publish("redis", "1.0.0")
    kitchen.chart(on(host))
    kitchen.render()
    hasty = Charts(kitchen.edges.settings.charts_dir, ChartSettings(range_age=timedelta(0)))
    hasty_kitchen = replace(kitchen, edges=replace(kitchen.edges, charts=hasty))
    host.publish("redis", "1.1.0")
    assert versions(hasty_kitchen.render())["shop-redis"] == "1.1.0"
    host.stop()
    assert versions(hasty_kitchen.render())["shop-redis"] == "1.1.0"
    kitchen.chart(on(host, "other"))
    with pytest.raises(Temporary, match=r"^app/Chart\.yaml: dependency other: http://.*: connection refused"):
        kitchen.render()


def test_what_is_not_there_is_named(kitchen: Kitchen, host: ChartHost) -> None:
    host.publish("redis", "1.0.0")
    kitchen.chart(on(host, version="2.x"))
    with pytest.raises(
        Permanent, match=r"dependency redis: http://.*/charts: redis: none of its 1 versions fits '2\.x'"
    ):
        kitchen.render()
    kitchen.chart(on(host, "nothing", "1.0.0"))
    with pytest.raises(Permanent, match=r"dependency nothing: http://.*index\.yaml: lists no nothing 1\.0\.0"):
        kitchen.render()


def test_a_pulled_chart_with_a_dependency_that_was_not_packed(kitchen: Kitchen, host: ChartHost) -> None:
    host.publish("redis", "1.0.0")
    need = Need("x", "redis", host.repository, "1.0.0", True)
    pulled = kitchen.pantry().supply(need)
    files = {path: text.decode() for path, text in pulled.tree.read(["templates/config.yaml", "values.yaml"]).items()}
    write_chart(kitchen.root, "app", "1.0.0", files, dependencies=[on(host)])
    assert sorted(names(kitchen.render())) == ["ConfigMap/shop-app", "ConfigMap/shop-redis"]
