"""No text of a user becomes an option, a command, a transport or a setting of git."""

import subprocess
from pathlib import Path

import pytest

from driftline.adapters.git import GitSettings, Mirrors
from driftline.adapters.git.command import command_line, environment, hard_settings
from driftline.adapters.git.mirror import Held
from driftline.desired.revision import resolve, wanted_refs
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Failure, Permanent
from tests.git.conftest import MAIN
from tests.git.test_fetch import count_processes
from tests.kit.githost import GitHost, WorkTree, git

# Options that have run commands, written or read files through other wrappers of git; abbreviated and joined forms too.
OPTIONS = [
    "--upload-pack={}",
    "--upload-pac={}",
    "--upl={}",
    "-u{}",
    "-c core.sshCommand={}",
    "-ccore.hooksPath={}",
    "--exec={}",
    "--exec-path={}",
    "--config-env={}",
    "--output={}",
    "--template={}",
    "--separate-git-dir={}",
    "--git-dir={}",
    "--work-tree={}",
    "--index-output={}",
    "--pathspec-from-file={}",
    "--contents={}",
    "--no-index",
    "--receive-pack={}",
    "--server-option={}",
    "-o{}",
    "-S{}",
    "-O{}",
    "--stdin",
    "--",
    "-",
]
URLS = [
    "ext::sh -c {}",
    "ext::{}",
    "EXT::{}",
    "fd::0",
    "transport::{}",
    "file://{}",
    "ssh://-oProxyCommand={}/x",
    "ssh://host;{}/x",
    "ssh://$({})/x",
    "ssh://`{}`/x",
    "-oProxyCommand={}",
    "git://host/x",
    "host:-oProxyCommand={}",
    "git@-oProxyCommand={}:x",
    "https://host/x\n[core]\n\tsshCommand = {}",
    "https://host/x\r\n{}",
    "https://host/x%0a{}",
]


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


@pytest.fixture
def command(marker: Path, tmp_path: Path) -> str:
    """A program that leaves the marker when anybody runs it."""
    script = tmp_path / "run"
    script.write_text(f"#!/bin/sh\ntouch {marker}\n")
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_as_a_revision_a_ref_or_a_commit(
    mirrors: Mirrors,
    access: RepositoryAccess,
    shop: WorkTree,
    option: str,
    command: str,
    marker: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = option.format(command)
    mirrors.fetch(access, [MAIN])
    started = count_processes(monkeypatch)
    attempts = (
        lambda: wanted_refs(text),
        lambda: resolve(text, {text: "a" * 40}, ""),
        lambda: mirrors.fetch(access, [text]),
        lambda: mirrors.fetch(access, [f"refs/heads/{text} x"]),
        lambda: mirrors.tree(access, text),
        lambda: mirrors.keep(access, text),
        lambda: mirrors.unkeep(access, text),
        lambda: mirrors.contains(access, text),
        lambda: mirrors.complete(access, text),
        lambda: mirrors.commit_info(access, text),
    )
    for attempt in attempts:
        with pytest.raises(Permanent):
            attempt()
    assert started == [], "it is refused before any git"
    assert not marker.exists()


@pytest.mark.parametrize("url", URLS)
def test_a_hostile_url(mirrors: Mirrors, url: str, command: str, marker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = RepositoryAccess(url.format(command))
    started = count_processes(monkeypatch)
    for attempt in (
        lambda: mirrors.fetch(access, [MAIN]),
        lambda: mirrors.check(access),
        lambda: mirrors.known(access),
    ):
        with pytest.raises(Permanent):
            attempt()
    assert started == []
    assert not marker.exists()


@pytest.mark.parametrize("text", ["-x", "--upload-pack={}", "$({})", "`{}`", "x;{}", "x|{}", "x'{}"])
def test_odd_but_legal_names_stay_names(
    mirrors: Mirrors,
    access: RepositoryAccess,
    shop: WorkTree,
    text: str,
    command: str,
    marker: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ref = f"refs/heads/{text.format(command.replace('/', '.').strip('.'))}"
    started = count_processes(monkeypatch)
    mirrors.fetch(access, [ref, MAIN])
    fetches = [argv for argv in started if "fetch" in argv]
    assert fetches
    for argv in fetches:
        behind = argv[argv.index("--end-of-options") + 1 :]
        assert behind[0] == "origin" and all(word.startswith(("+refs/", "+HEAD:")) for word in behind[1:])
    assert not marker.exists()


def test_git_itself_refuses_other_transports(tmp_path: Path, command: str, marker: Path) -> None:
    """The second wall: even a URL that nobody has checked runs nothing."""
    for url in (f"ext::{command}", f"file://{tmp_path}", str(tmp_path), f"fd::{command}"):
        line = command_line(GitSettings(), None, "ls-remote", "--end-of-options", "origin")
        done = subprocess.run(
            line, env=environment(tmp_path, {"remote.origin.url": url}), capture_output=True, check=False, cwd=tmp_path
        )
        assert done.returncode != 0
        assert b"not allowed" in done.stderr
    assert not marker.exists()


def test_hooks_and_settings_of_a_repository_do_nothing(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, command: str, marker: Path
) -> None:
    mirrors.fetch(access, [MAIN])
    mirror = next(mirrors._root.glob("*.git"))
    for name in ("reference-transaction", "post-checkout", "pre-auto-gc", "post-rewrite"):
        hook = mirror / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(Path(command).read_text())
        hook.chmod(0o755)
    git(f"--git-dir={mirror}", "config", "core.sshCommand", command)
    git(f"--git-dir={mirror}", "config", "core.fsmonitor", command)
    git(f"--git-dir={mirror}", "config", "credential.helper", f"!{command}")
    git(f"--git-dir={mirror}", "config", "core.askPass", command)
    modules = f'[submodule "x"]\n\tpath = x\n\turl = ext::{command}\n[include]\n\tpath = /etc/passwd\n'
    commit = shop.commit("modules", {".gitmodules": modules, ".gitattributes": "* filter=evil\n"})
    shop.push()
    mirrors.fetch(access, [MAIN])
    mirrors.tree(access, commit).read([".gitmodules"])
    mirrors.keep(access, commit)
    mirrors.unkeep(access, commit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("driftline.adapters.git.housekeeping.due", lambda _: True)
        assert mirrors.housekeeping().failed == []
    with GitHost(username="u", password="p") as locked:
        locked.create("shop")
        with pytest.raises(Permanent, match="authentication"):
            mirrors.fetch(RepositoryAccess(locked.url("shop")), [MAIN])
    assert not marker.exists()


@pytest.mark.parametrize("name", ["../../x", "..", "/x/.."])
def test_a_submodule_whose_name_escapes_is_not_fetched(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, name: str
) -> None:
    shop.commit("modules", {".gitmodules": f'[submodule "{name}"]\n\tpath = x\n\turl = https://host/x\n'})
    shop.push()
    with pytest.raises(Permanent, match="malformed or dangerous"):
        mirrors.fetch(access, [MAIN])


def test_every_command_has_the_hard_settings(tmp_path: Path) -> None:
    line = command_line(GitSettings(), tmp_path, "fetch")
    for name, value in {
        "protocol.allow": "never",
        "protocol.file.allow": "never",
        "core.hooksPath": "/dev/null",
        "http.followRedirects": "false",
        "credential.helper": "",
        "transfer.fsckObjects": "true",
        "fetch.recurseSubmodules": "false",
    }.items():
        assert line[line.index(f"{name}={value}") - 1] == "-c"
    assert not [name for name in hard_settings(GitSettings()) if name.startswith("protocol.ext")]


def test_a_host_cannot_talk_us_into_dropping_the_mirror(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, host: GitHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the host prints is not what git says: neither a ref nor the mirror goes because of it."""
    mirrors.fetch(access, [MAIN])
    dropped: list[Held] = []
    monkeypatch.setattr(Held, "drop", dropped.append)
    lies = f"fatal: couldn't find remote ref {MAIN}\nfatal: bad object HEAD\nerror: object file x is empty"
    hook = host.root / "lie"
    hook.write_text(f"#!/bin/sh\ntouch {host.root}/lied\n" + "printf '%s\\n' \"" + lies + '" >&2\nexit 1\n')
    hook.chmod(0o755)
    shop.commit()
    shop.push()
    monkeypatch.setattr("deploy.demo.gitserving.git_environment", lying_environment(str(hook)))
    with pytest.raises(Failure):
        mirrors.fetch(access, [MAIN])
    assert (host.root / "lied").exists()
    assert dropped == []
    known = mirrors.known(access)
    assert known and MAIN in known.refs


def lying_environment(hook: str) -> object:
    from deploy.demo.worktree import git_environment

    return lambda config: git_environment({**config, "uploadpack.packObjectsHook": hook})
