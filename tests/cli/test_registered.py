"""Repositories, clusters, jobs and alerts from the command line."""

import base64
import json
from pathlib import Path

import pytest
import yaml

from driftline.adapters.store import clusters
from service.cli.failing import Problem
from service.cli.kubeconfigs import single
from tests.cli.conftest import Run
from tests.kit.site import Site, lived_in


def test_a_repository_is_added_listed_and_removed(driftline: Run) -> None:
    url = "https://git.example/a.git"
    made = driftline(
        "repo", "add", url, "--no-check", "--username", "robot", "--password", "pw", "--webhook-secret", "s"
    )
    assert made.code == 0 and "/hooks/<provider>/" in made.out
    assert driftline("repo", "list", "-o", "name").out == f"{url}\n"
    assert json.loads(driftline("repo", "list", "-o", "json").out)[0]["hasCredentials"] is True
    assert driftline("repo", "rm", url).code == 0
    assert driftline("repo", "rm", url).code == 1


def test_clusters_are_listed_and_removed_unless_used(driftline: Run, site: Site) -> None:
    lived_in(site)
    with site.store.write() as db:
        clusters.save(db, "east", "https://east.example", b"x")
    assert driftline("cluster", "list", "-o", "name").out.split() == ["east", "in-cluster"]
    assert driftline("cluster", "rm", "east").code == 0
    used = driftline("cluster", "rm", "in-cluster")
    assert used.code == 1 and "shop" in used.err


def kubeconfig(directory: Path) -> Path:
    (directory / "ca.pem").write_text("authority")
    file = directory / "config"
    cluster = {"server": "https://east.example", "certificate-authority": "ca.pem"}
    context = {"cluster": "c", "user": "u"}
    document = {
        "current-context": "east",
        "contexts": [{"name": "east", "context": context}, {"name": "broken", "context": {"cluster": "none"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    file.write_text(yaml.safe_dump(document))
    return file


def test_one_context_of_a_kubeconfig_is_taken_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = kubeconfig(tmp_path)
    found = single(str(file))
    assert (found.context, found.server) == ("east", "https://east.example")
    config = json.loads(found.text)
    assert base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]) == b"authority"
    assert config["users"][0]["user"] == {"token": "t"}
    monkeypatch.setenv("KUBECONFIG", str(file))
    assert single(context="east").server == "https://east.example"
    for context in ("west", "broken"):
        with pytest.raises(Problem, match=context):
            single(context=context)
    (tmp_path / "ca.pem").unlink()
    with pytest.raises(Problem, match=r"ca\.pem"):
        single()


def test_a_cluster_that_does_not_answer_is_said(driftline: Run, tmp_path: Path) -> None:
    file = kubeconfig(tmp_path)
    file.write_text(file.read_text().replace("https://east.example", "https://127.0.0.1:9"))
    (tmp_path / "ca.pem").unlink()
    file.write_text(file.read_text().replace("certificate-authority: ca.pem", "insecure-skip-tls-verify: true"))
    found = driftline("cluster", "add", "east", "--kubeconfig", str(file))
    assert found.code == 1 and found.err.count("\n") == 1


def test_alerts_and_jobs_answer(driftline: Run) -> None:
    assert "channel:address" in driftline("alerts", "test", "ops").err
    assert driftline("jobs", "list").code == 0
    assert driftline("jobs", "retry", "1").code == 1
    assert driftline("alerts", "dead", "-o", "json").out == "[]\n"
    assert driftline("version").code == 0


@pytest.mark.covers("REPO-10")
def test_a_chart_repository_is_added_with_argo_cds_options(driftline: Run) -> None:
    url = "registry.example.org/charts"
    made = driftline(
        *("repo", "add", url, "--type", "helm", "--name", "charts", "--enable-oci", "--no-check"),
        *("--username", "robot", "--password", "pw", "--insecure-oci-force-http", "--pass-credentials"),
    )
    assert made.code == 0, made.err
    [found] = json.loads(driftline("repo", "list", "-o", "json").out)
    assert (found["type"], found["name"], found["enableOCI"]) == ("helm", "charts", True)
    assert found["insecureOCIForceHttp"] is True and found["passCredentials"] is True
    assert "helm" in driftline("repo", "list").out
    assert driftline("repo", "add", "https://charts.example.org", "--type", "helm", "--no-check").code == 1
    assert driftline("repo", "rm", f"oci://{url}").code == 0
