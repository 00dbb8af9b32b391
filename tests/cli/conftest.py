"""A live server on a fresh SQLite database, and a command line that is signed in to it."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from driftline.adapters.store.engine import Store
from service.cli.failing import code_of
from service.cli.main import cli
from tests.kit.databases import sqlite_store, sqlite_template
from tests.kit.site import Site, served
from tests.kit.site import site as make_site

__all__ = ["sqlite_store", "sqlite_template"]


@dataclass(frozen=True)
class Ran:
    """What one command line came to."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def run(*arguments: str) -> Ran:
    """Run a command line as the shell would."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = code_of(cli, arguments)
    return Ran(code, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own configuration."""
    for name in list(os.environ):
        if name.startswith(("DRIFTLINE_", "ARGOCD_")) and name != "DRIFTLINE_TEST_CLUSTER":
            monkeypatch.delenv(name)
    monkeypatch.setenv("DRIFTLINE_CONFIG", str(tmp_path / "config.json"))
    monkeypatch.setenv("DRIFTLINE_TRACEBACK", "1")


@pytest.fixture
def site(sqlite_store: Store, tmp_path: Path) -> Iterator[Site]:
    found = make_site(tmp_path / "data", sqlite_store.url.render_as_string(hide_password=False))
    yield found
    found.edges.close()


@pytest.fixture
def server(site: Site) -> Iterator[str]:
    with served(site) as url:
        yield url


@pytest.fixture
def driftline(site: Site, server: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line, signed in as the administrator."""
    monkeypatch.setenv("DRIFTLINE_SERVER", server)
    monkeypatch.setenv("DRIFTLINE_AUTH_TOKEN", site.tokens["ada"])
    return run
