"""`driftline doctor` fails for what does not work, and for nothing else."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from driftline.flow import checks
from driftline.flow.edges import Edges
from driftline.flow.registry import Check
from tests.cli.conftest import run
from tests.kit.site import Site


@pytest.fixture
def look(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command looks at the installation of the test."""
    monkeypatch.setattr("driftline.flow.assemble.edges_of_this_process", lambda name: site.edges)
    monkeypatch.setattr("driftline.flow.assemble.close_edges", lambda: None)


def test_that_nobody_is_told_is_advice_and_no_failure(site: Site, look: None, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = checks.checks

    def well(edges: Edges) -> Iterator[Check]:
        """Everything else as it is where a broker, a worker and a cluster are there."""
        yield from (replace(each, ok=True, advice="") if each.name != "alerts" else each for each in parts(edges))

    monkeypatch.setattr(checks, "checks", well)
    assert not site.edges.settings.alert_recipients
    found = run("doctor")
    assert found.code == 0 and "FAIL" not in found.out
    said = found.out.splitlines()
    assert said[-2] == "note alerts: nobody is told of anything" and "DRIFTLINE_ALERT_RECIPIENTS" in said[-1]


def test_what_does_not_work_is_said_with_what_to_do(site: Site, look: None) -> None:
    found = run("doctor")
    lines = found.out.splitlines()
    assert found.code == 1
    assert any(line.startswith("ok   git: git version ") for line in lines)
    web = next(number for number, line in enumerate(lines) if line.startswith("FAIL web: "))
    assert "does not answer" in lines[web] and "driftline up" in lines[web + 1]
    broker = next(number for number, line in enumerate(lines) if line.startswith("FAIL broker: "))
    assert "unix://" in lines[broker] and "DRIFTLINE_BROKER_URL" in lines[broker + 1]


def test_the_web_process_is_looked_at(site: Site, server: str, look: None, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(site.edges.settings, listen=server.removeprefix("http://"))
    edges = replace(site.edges, settings=settings)
    monkeypatch.setattr("driftline.flow.assemble.edges_of_this_process", lambda name: edges)
    assert f"ok   web: {server}" in run("doctor").out.splitlines()


def test_an_empty_place_may_be_the_wrong_installation(tmp_path: Path) -> None:
    env = {**os.environ, "DRIFTLINE_DATA_DIR": str(tmp_path / "elsewhere"), "KUBECONFIG": ""}
    command = [sys.executable, "-P", "-m", "service.cli.main", "doctor"]
    said = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60).stderr
    assert said.count("\n") == 1 and "run driftline migrate" in said and "set its DRIFTLINE_DATA_DIR" in said
