"""One person at a browser follows a change from its push to the end, on a real cluster and a real Git host."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from deploy.demo.world import World
from deploy.localcluster.localcluster import LocalCluster
from tests.kit.world import Team, cluster, installation, kubectl, team
from tests.ui.browsing import Reader

__all__ = ["cluster"]

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: "registry.example/web:{tag}"}}]}}
---
apiVersion: v1
kind: Secret
metadata: {{name: web-login}}
stringData: {{password: hunter2-{tag}}}
"""
POLICY = {"automated": {"prune": True}, "syncOptions": ["CreateNamespace=true"]}
SOON = 30_000
"""Milliseconds within which an open page has to show what happened."""


@pytest.fixture
def world(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An installation with all of its processes."""
    with installation(cluster, tmp_path_factory.mktemp("browsed")) as found:
        yield found


@pytest.fixture
def crew(world: World, cluster: LocalCluster) -> Team:
    """A team with a repository and a namespace of its own."""
    return team(world, cluster, "browsed")


@pytest.mark.timeout(240)
def test_a_push_a_hand_edit_its_repair_and_a_rollback_are_followed_in_the_browser(
    browser: Browser, world: World, cluster: LocalCluster, crew: Team
) -> None:
    first = crew.push({"app/web.yaml": MANIFEST.format(tag=1)}, "the first version")
    crew.create(syncPolicy=POLICY)
    with Reader(browser, world.url) as someone:
        page = someone.goto(f"/applications/{crew.name}")
        page.get_by_label("Name").fill("admin")
        page.get_by_label("Password").fill(world.password)
        page.get_by_role("button", name="Sign in").click()
        standing = page.get_by_label("Standing")
        expect(standing.get_by_text("Healthy")).to_be_visible(timeout=SOON)
        expect(standing.get_by_text(first[:12]).first).to_be_visible()
        expect(page.get_by_role("row", name="Deployment web")).to_contain_text("Synced")
        _keep(someone, "healthy")

        # Nobody touches the page: it shows the hand edit by itself.
        edit = '{"spec":{"replicas":5}}'
        kubectl(cluster, "-n", crew.name, "patch", "deployment", "web", "--type=merge", "-p", edit)
        expect(standing.get_by_text("1 field").first).to_be_visible(timeout=SOON)
        expect(standing.get_by_text("by kubectl-patch")).to_be_visible()
        standing.get_by_role("link", name="1 field").click()
        row = page.get_by_role("row").filter(has_text="spec.replicas")
        expect(row).to_contain_text("kubectl-patch")
        expect(row).to_contain_text("still so")
        _keep(someone, "drift")

        secret = '{"stringData":{"password":"by-hand-3000"}}'
        kubectl(cluster, "-n", crew.name, "patch", "secret", "web-login", "--type=merge", "-p", secret)
        expect(standing.get_by_text("2 fields").first).to_be_visible(timeout=SOON)
        page.get_by_role("link", name="Diff", exact=True).click()
        lines = page.get_by_role("region", name=f"Lines of apps/Deployment/{crew.name}/web")
        expect(lines.locator("del")).to_have_text("5")
        expect(lines.locator("ins")).to_have_text("2")
        expect(page.get_by_role("region", name=f"Lines of Secret/{crew.name}/web-login")).to_contain_text("++++++++")
        _no_secret(someone)
        _keep(someone, "diff")

        page.get_by_role("link", name="Plan", exact=True).first.click()
        expect(page.get_by_label("Plan", exact=True).get_by_text("2 update")).to_be_visible()
        _no_secret(someone)
        _keep(someone, "plan")
        page.get_by_label("Plan", exact=True).get_by_role("button", name="Sync").click()
        expect(standing.get_by_text("Succeeded")).to_be_visible(timeout=SOON)
        expect(standing.get_by_text("None")).to_be_visible(timeout=SOON)
        page.goto(f"/applications/{crew.name}?tab=drift")
        expect(page.get_by_text("overwritten by a sync").first).to_be_visible()

        second = crew.push({"app/web.yaml": MANIFEST.format(tag=2)}, "the second version")
        page.goto(f"/applications/{crew.name}?tab=history")
        expect(page.get_by_role("row").filter(has_text=second[:12]).first).to_be_visible(timeout=SOON)
        page.get_by_role("link", name="Roll back…").first.click()
        page.get_by_label("Why", exact=True).last.fill("it is slow")
        page.get_by_role("button", name="Roll back").click()
        expect(standing.get_by_text("it is slow")).to_be_visible()
        _no_secret(someone)
        _keep(someone, "rolled-back")
        assert someone.complaints == []
    crew.delete()


def _no_secret(someone: Reader) -> None:
    content = someone.page.content()
    assert "hunter2" not in content
    assert "by-hand-3000" not in content


def _keep(someone: Reader, name: str) -> None:
    """Keep a picture where DRIFTLINE_PICTURES says, for people who want to look."""
    if folder := os.environ.get("DRIFTLINE_PICTURES"):
        someone.page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
