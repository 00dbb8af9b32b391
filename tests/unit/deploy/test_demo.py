"""What the demo must never do: reach into another installation, use a cluster unasked, end somebody else's process."""

import io
import json
import os
import sys
from pathlib import Path

import pytest

from deploy.demo import borrowed, caught, keeper, processes
from deploy.demo.stage import Stage
from deploy.demo.world import World

CONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "production",
    "contexts": [
        {"name": "production", "context": {"cluster": "main", "user": "me"}},
        {"name": "other", "context": {"cluster": "second", "user": "me"}},
    ],
    "clusters": [
        {"name": "main", "cluster": {"server": "https://prod.example.com:6443"}},
        {"name": "second", "cluster": {"server": "https://second.example.com:6443"}},
    ],
    "users": [{"name": "me", "user": {"token": "t0p"}}],
}


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "config"
    file.write_text(json.dumps(CONFIG))
    monkeypatch.setenv("KUBECONFIG", str(file))
    return file


def test_settings_of_another_installation_do_not_reach_the_demo() -> None:
    given = {"PATH": "/bin", "DRIFTLINE_DATABASE_URL": "postgresql://prod", "KUBECONFIG": "/prod", "ARGOCD_SERVER": "x"}
    assert keeper.scrub(given).keys() == {"PATH", "NO_PROXY", "no_proxy"}


def test_a_session_that_somebody_saved_does_not_lead_the_demo_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = tmp_path / "config.json"
    saved.write_text('{"current": "http://127.0.0.1:9", "servers": {"http://127.0.0.1:9": {"token": "old"}}}')
    monkeypatch.setenv("DRIFTLINE_CONFIG", str(saved))
    monkeypatch.setenv("KUBECONFIG", "")
    world = World(tmp_path / "world", "", catchers=False)
    world.env = world.environment()
    world.driftline("migrate")
    assert world.driftline("token", "create", "admin", "--note", "this machine").strip()
    assert keeper.NEEDED_HERE[0] in world.env and world.env["DRIFTLINE_LISTEN"].endswith(f":{world.port}")


def test_no_cluster_is_used_while_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert borrowed.borrow(Stage(), tmp_path / "copy", yes=True) is None


@pytest.mark.usefixtures("kubeconfig")
def test_a_named_cluster_is_shown_and_not_used_when_nobody_can_be_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(borrowed.NotAllowed, match="YES=1"):
        borrowed.borrow(Stage(), tmp_path / "copy", yes=False)
    shown = capsys.readouterr().out
    assert "production" in shown and "https://prod.example.com:6443" in shown and "t0p" not in shown
    assert not (tmp_path / "copy").exists()


@pytest.mark.usefixtures("kubeconfig")
@pytest.mark.parametrize(("answer", "used"), [("y\n", True), ("\n", False), ("no\n", False)])
def test_only_a_clear_yes_counts(answer: str, used: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    found = borrowed.borrow(Stage(), tmp_path / "copy", yes=False)
    assert (found is not None) is used


@pytest.mark.usefixtures("kubeconfig")
def test_the_copy_leads_to_that_cluster_only_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    found = borrowed.borrow(Stage(), tmp_path / "copy", yes=True)
    assert found is not None
    config = json.loads(found.kubeconfig.read_text())
    assert [each["cluster"]["server"] for each in config["clusters"]] == ["https://prod.example.com:6443"]
    assert found.kubeconfig.stat().st_mode & 0o077 == 0


def test_a_process_is_known_by_its_start_not_by_its_number_alone() -> None:
    me = os.getpid()
    assert processes.is_running(me, processes.started(me))
    assert not processes.is_running(me, "12345")
    assert processes.end(me, "12345", patience=1)  # somebody else by now: left alone


def test_a_state_that_is_half_written_or_missing_is_no_state(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    assert keeper.read_state(directory) == {}
    keeper.state_file(directory).write_text('{"pid": 1')
    assert keeper.read_state(directory) == {}


def test_messages_are_shown_as_people_read_them(tmp_path: Path) -> None:
    fields = [{"type": "plain_text", "text": "Application\nshop"}]
    blocks = [
        {"type": "section", "text": {"type": "plain_text", "text": "replicas 3 -&gt; 1"}},
        {"type": "section", "fields": fields},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "<http://here/shop|Open>"}]},
    ]
    slack = {"channel": "#deploys", "text": "shop drifted", "attachments": [{"blocks": blocks}]}
    (tmp_path / "slack").mkdir()
    (tmp_path / "slack/0001.json").write_text(json.dumps(slack))
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail/0001.eml").write_bytes(b"To: ops@example.com\nSubject: shop drifted\n\nreplicas 3 -> 1\n")
    (message,) = caught.read_slack(tmp_path)
    assert message.lines == ("shop drifted", "replicas 3 -> 1", "Application: shop", "Open: http://here/shop")
    (mail,) = caught.read_mail(tmp_path)
    assert (mail.title, *mail.lines) == ("Mail to ops@example.com", "Subject: shop drifted", "replicas 3 -> 1")
