"""Starting costs nothing, mistakes are one line, and each has its exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli.app import COMMANDS as APP
from service.cli.lazy import LazyGroup
from service.cli.main import COMMANDS, cli
from tests.cli.conftest import Run, run

ALLOWED = {"click", "service", "sitecustomize", "usercustomize"}
"""Packages besides the standard library's that `--version` may load; the last two are the machine's own."""


def test_the_version_loads_the_framework_and_nothing_else() -> None:
    """Measured in modules, not in seconds: 0.3 s are kept by not importing what takes them."""
    code = "import sys; sys.argv = ['driftline', '--version']; from service.cli.main import run; run()"
    done = subprocess.run([sys.executable, "-P", "-X", "importtime", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("driftline ")
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    strange = {
        name for name in loaded if name not in sys.stdlib_module_names and not name.startswith(("_", "imported"))
    }
    assert strange <= ALLOWED, strange - ALLOWED


def test_a_command_of_the_api_loads_no_product_code(server: str, site: object, tmp_path: Path) -> None:
    token = site.tokens["ada"]  # type: ignore[attr-defined]
    program = (
        "import sys; from service.cli.main import cli; from service.cli.failing import code_of\n"
        f"code = code_of(cli, ['app', 'list', '--server', '{server}', '--auth-token', '{token}'])\n"
        "product = ('driftline', 'sqlalchemy', 'celery', 'flask')\n"
        "print(code, *(name for name in sys.modules if name.startswith(product)))"
    )
    env = {**os.environ, "DRIFTLINE_CONFIG": str(tmp_path / "none")}
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, env=env)
    code, *loaded = done.stdout.splitlines()[-1].split()
    # One small module of the standard library only: how revisions are shown.
    strange = set(loaded) - {"driftline", "driftline.model", "driftline.model.revisions"}
    assert code == "0" and not strange, done.stdout + done.stderr


def test_every_command_can_be_loaded_and_explains_itself() -> None:
    names = [[name] for name in COMMANDS] + [["app", name] for name in APP]
    silent = []
    for words in names:
        group: object = cli
        for word in words:
            assert isinstance(group, LazyGroup)
            group = group.get_command(None, word)  # type: ignore[arg-type]
        if not getattr(group, "help", ""):
            silent.append(words)
    assert silent == []


@pytest.mark.parametrize("words", [["nothing"], ["app", "nothing"], ["app", "get"], ["app", "list", "--frobnicate"]])
def test_a_wrong_command_line_is_an_error_and_never_a_difference(words: list[str]) -> None:
    found = run(*words)
    assert found.code == 1 and found.err and "Traceback" not in found.err


@pytest.mark.parametrize(("words", "meant"), [(["app", "creat"], "create"), (["doctr"], "doctor")])
def test_a_mistyped_command_is_guessed(words: list[str], meant: str) -> None:
    found = run(*words)
    assert found.code == 1 and f"Did you mean '{meant}'?" in found.err


def test_a_server_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run("app", "list", "--server", "http://127.0.0.1:9")
    assert found.code == 1 and found.out == ""
    assert found.err.count("\n") == 1 and found.err.startswith(
        "driftline: server http://127.0.0.1:9: cannot be reached"
    )
    assert "driftline up" in found.err and "--server" in found.err


def test_who_is_not_logged_in_is_told_how_to(server: str) -> None:
    found = run("app", "list", "--server", server)
    assert found.code == 1 and "driftline login" in found.err


def test_a_fault_of_ours_is_one_line_unless_one_asks_for_more(driftline: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.cli.client.Client.get", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        driftline("cluster", "get", "x")
    monkeypatch.delenv("DRIFTLINE_TRACEBACK")
    found = driftline("cluster", "get", "x")
    assert found.code == 1 and "ZeroDivisionError" in found.err and "Traceback" not in found.err
