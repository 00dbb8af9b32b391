"""Signing in, tokens and accounts, over a server and on this machine."""

import json
import stat
from pathlib import Path

import pytest

from driftline.adapters.store.engine import Store
from tests.cli.conftest import Run, run
from tests.kit.site import PASSWORD, Site


def test_a_login_is_remembered_for_its_owner_only_and_forgotten_again(site: Site, server: str, tmp_path: Path) -> None:
    site.create()
    found = run("login", server, "--username", "ada", "--password", PASSWORD)
    assert found.code == 0 and "'ada' logged in" in found.out
    file = tmp_path / "config.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("app", "list", "-o", "name").out == "shop\n"
    token = json.loads(file.read_text())["servers"][server]["token"]
    assert run("logout").code == 0
    assert token not in file.read_text()
    assert run("app", "list", "--server", server).code == 1
    # The session ended on the server as well.
    assert run("app", "list", "--server", server, "--auth-token", token).code == 1


def test_a_wrong_password_is_refused(server: str) -> None:
    found = run("login", server, "--username", "ada", "--password", "wrong")
    assert found.code == 1 and "Invalid username or password" in found.err
    assert "account ada" in found.err and "http://127.0.0.1" in found.err and "driftline account password" in found.err


def test_argo_cds_variables_and_options_are_understood(
    site: Site, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.create()
    monkeypatch.setenv("ARGOCD_SERVER", server.removeprefix("http://"))
    monkeypatch.setenv("ARGOCD_AUTH_TOKEN", site.tokens["ada"])
    assert run("app", "list", "-o", "name").out == "shop\n"
    monkeypatch.delenv("ARGOCD_AUTH_TOKEN")
    before = ["--server", server, "--auth-token", site.tokens["rita"]]
    assert run(*before, "app", "list", "-o", "name").out == "shop\n"


def test_tokens_are_made_listed_and_revoked(driftline: Run, site: Site) -> None:
    made = driftline("token", "create", "rita", "--note", "ci", "--expires-in", "12h")
    site.tokens["new"] = made.out.strip()
    assert site.ask("GET", "/api/v1/applications", "new").status_code == 200
    items = json.loads(driftline("token", "list", "rita", "-o", "json").out)
    number = next(each["id"] for each in items if each["note"] == "ci")
    assert driftline("token", "revoke", number, "--account", "rita").code == 0
    assert site.ask("GET", "/api/v1/applications", "new").status_code == 401
    assert driftline("token", "create", "rita", "--expires-in", "soon").code == 1


def test_an_account_is_made_over_the_api(driftline: Run, site: Site) -> None:
    made = driftline("account", "create", "bob", "--role", "role:readonly", "--password", "a long enough password")
    assert made.code == 0, made.err
    assert driftline("account", "create", "bob", "--password", "a long enough password").code == 1


def test_the_first_token_is_made_without_a_server(
    tmp_path: Path, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subprocess, because the command makes edges of its own for the process."""
    import os
    import subprocess
    import sys

    url = sqlite_store.url.render_as_string(hide_password=False)
    env = {**os.environ, "DRIFTLINE_DATA_DIR": str(tmp_path / "d"), "DRIFTLINE_DATABASE_URL": url, "KUBECONFIG": ""}

    def driftline(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "service.cli.main", *words]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)

    first = driftline("migrate")
    assert first.returncode == 0 and "account admin: its password is" in first.stdout, first.stderr
    again = driftline("migrate")
    assert again.returncode == 0 and "password" not in again.stdout
    made = driftline("token", "create", "admin", "--note", "this machine")
    assert made.returncode == 0 and made.stdout.startswith("dlt_") and made.stdout.count("\n") == 1
    assert driftline("account", "password", "admin", "--core", "--new-password", "a brand new password").returncode == 0
