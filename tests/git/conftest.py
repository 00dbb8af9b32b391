"""A Git host, a repository in it, and a place for mirrors."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from driftline.adapters.git import GitSettings, Mirrors
from driftline.model.access import RepositoryAccess
from tests.kit.githost import GitHost, WorkTree

MAIN = "refs/heads/main"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    root = tmp_path / "host"
    root.mkdir()
    with GitHost(root) as host:
        yield host


@pytest.fixture
def shop(host: GitHost, tmp_path: Path) -> WorkTree:
    """A repository with one commit on main."""
    tree = host.checkout("shop", tmp_path / "work")
    tree.commit("first", {"app/web.yaml": "kind: Service\n", "README.md": "shop\n"})
    tree.push()
    return tree


@pytest.fixture
def access(host: GitHost) -> RepositoryAccess:
    return RepositoryAccess(host.url("shop"))


MakeMirrors = Callable[..., Mirrors]


@pytest.fixture
def make_mirrors(tmp_path: Path) -> Iterator[MakeMirrors]:
    """Mirrors as another process would open them: same directory, nothing remembered."""
    made: list[Mirrors] = []

    def make(root: Path = tmp_path / "mirrors", **settings: object) -> Mirrors:
        short = {"fetch_deadline": timedelta(seconds=20), "clone_deadline": timedelta(seconds=20)}
        made.append(Mirrors(root, GitSettings(**{**short, **settings})))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for mirrors in made:
        mirrors.close()


@pytest.fixture
def mirrors(make_mirrors: MakeMirrors) -> Mirrors:
    return make_mirrors()
